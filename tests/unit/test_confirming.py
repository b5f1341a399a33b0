"""A team's runbook confirms a verdict: only reads are run, only known names are filled in, and the rest is data."""

from __future__ import annotations

import pytest

from kubectl_ai_intellect.investigate.confirming import confirm, filled, met, names_of
from kubectl_ai_intellect.knowledge.runbook import Check
from kubectl_ai_intellect.kube.command import Command
from kubectl_ai_intellect.kube.config import Flags
from kubectl_ai_intellect.kube.running import same_cluster
from kubectl_ai_intellect.report import ChainStep, Diagnosis, Evidence, ObjectRef, Verdict


def thing(kind: str, name: str) -> ObjectRef:
    return ObjectRef(apiVersion="v1", kind=kind, namespace="shop", name=name)


def diagnosis() -> Diagnosis:
    web, pod, settings = thing("Deployment", "web"), thing("Pod", "web-1"), thing("ConfigMap", "web-settings")
    verdict = Verdict(status="root_cause", cause="config/configmap-missing", title="x", object=web,
                      chain=[ChainStep(object=pod, because="x", evidence=["E1"])])  # fmt: skip
    told = Evidence(id="E1", object=settings, command="kubectl logs web-1 -n shop -c app --previous", text="x")
    return Diagnosis(question="q", context="c", namespace="shop", verdict=verdict, evidence=[told])


def test_names_come_from_what_the_verdict_stands_on() -> None:
    names = names_of(diagnosis())
    assert names["deployment"] == "web"
    assert names["workload"] == "deployment/web"
    assert (names["pod"], names["configmap"], names["namespace"]) == ("web-1", "web-settings", "shop")
    assert names["container"] == "app"


@pytest.mark.parametrize(
    "command",
    [
        "kubectl delete pod {pod} -n {namespace}",
        "kubectl get secret {pod} -n {namespace} -o yaml",
        "kubectl get pod {pod} -n {namespace}; rm -rf /",
        "kubectl get pod {pod} --server=https://elsewhere",
        "kubectl get pod {pvc} -n {namespace}",
        "rm {pod}",
    ],
)
def test_what_is_no_read_or_not_known_is_not_run(command: str) -> None:
    assert filled(command, names_of(diagnosis())) is None


def test_a_name_cannot_smuggle_in_a_flag() -> None:
    assert filled("kubectl get pod {pod} -n {namespace}", {"pod": "x --kubeconfig=/tmp/y", "namespace": "shop"}) is None


def test_a_check_that_shows_what_it_expects_is_cited() -> None:
    report = diagnosis()
    ran: list[Command] = []

    def run(command: Command) -> str:
        ran.append(command)
        return "NAME\n\x1b[31mweb-settings\x1b[0m password=hunter2 not found\n"

    checks = [Check("kubectl get configmap {configmap} -n {namespace}", "not found"),
              Check("kubectl get pod {pod} -n {namespace}", "CrashLoopBackOff"),
              Check("kubectl get node {node}", "x")]  # fmt: skip
    confirm(report, checks, "Our settings", run)
    assert [str(each) for each in ran] == [
        "kubectl get configmap web-settings -n shop",
        "kubectl get pod web-1 -n shop",
    ]
    assert len(report.steps) == 2
    assert report.steps[0].finding.startswith("as it expects")
    assert report.steps[1].finding == "not what it expects"
    (cited,) = report.evidence[1:]
    assert "\x1b" not in cited.text
    assert "hunter2" not in cited.text


def test_what_could_not_be_run_is_told() -> None:
    report = diagnosis()
    confirm(report, [Check("kubectl get pod {pod} -n {namespace}", "x")], "t", lambda command: None)
    assert report.steps[0].finding == "not run"
    assert len(report.evidence) == 1


def test_only_the_line_that_matches_is_taken() -> None:
    assert met(Check("kubectl get pods", "0/1"), "NAME READY\na 1/1\nb   0/1 Error\nc 1/1\n") == "b 0/1 Error"
    assert met(Check("kubectl get pods", "0/1"), "NAME READY\n") == ""


def test_kubectl_is_sent_to_the_same_cluster_as_the_same_person() -> None:
    flags = Flags(kubeconfig="/k", context="c", as_user="eve", as_groups=("a", "b"), insecure_skip_tls_verify=True)
    assert same_cluster(flags) == ["--kubeconfig=/k", "--context=c", "--as=eve", "--as-group=a", "--as-group=b",
                                   "--insecure-skip-tls-verify"]  # fmt: skip
