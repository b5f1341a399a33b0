module kubectl-intellect/testcluster/forward

go 1.26.0

tool kubectl-intellect/testcluster/forward
