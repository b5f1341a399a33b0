"""What somebody may write into a cluster to lead a model astray, and recordings with it planted."""
