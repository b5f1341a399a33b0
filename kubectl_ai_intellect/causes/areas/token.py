"""Programs that talk to the API server from a pod that was given no token to do so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, hits, logged, logs
from kubectl_ai_intellect.causes.needs import container_logs, owners, together
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Read, get_of
from kubectl_ai_intellect.state.edits import set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import container, pod_spec, spec_path
from kubectl_ai_intellect.state.relations import workload_of

HOME = "/var/run/secrets/kubernetes.io/serviceaccount"
SAYS = re.compile(
    r"(?:/var)?/run/secrets/kubernetes\.io/serviceaccount|service ?account token|in-?cluster ?config|"
    r"Service (?:host/port|token file|certification file) (?:is not set|does not exist)|system:anonymous",
    re.IGNORECASE,
)
KINDS = ("file-not-found", "forbidden", "bad-config", "missing-env", "panic", "auth-failed")


def account_of(state: State, at: Ref) -> Ref:
    found = state.find(at)
    return ref(
        "ServiceAccount", at.namespace, (pod_spec(found).get("serviceAccountName") if found else "") or "default"
    )


def _account(state: State, symptom: Symptom) -> Iterable[Read]:
    yield get_of(account_of(state, symptom.at.whole()))


def off(state: State, at: Ref) -> tuple[Ref, str] | None:
    """Where it is said that the token is not to be mounted: the pod's own spec, else its ServiceAccount."""
    found = state.find(at)
    if found is None:
        return None
    own = pod_spec(found).get("automountServiceAccountToken")
    if own is not None:
        return (at, "automountServiceAccountToken is false") if own is False else None
    account = account_of(state, at)
    held = state.find(account)
    if held is not None and held.raw.get("automountServiceAccountToken") is False:
        return account, f"automountServiceAccountToken of ServiceAccount {account.name} is false"
    return None


def _said(state: State, at: Ref) -> Iterator[Fact]:
    for hit, previous in hits(state, at, *KINDS):
        if SAYS.search(hit.line) or SAYS.search(hit.name):
            yield logged(at, hit, previous=previous)
    for digest, _ in logs(state, at):
        for line in (*digest.last_lines, *digest.trace.splitlines()):
            if SAYS.search(line):
                yield Fact(f"log of {at.part}: {line.strip()}", at)


@cause("serviceaccount/token-not-mounted", "container-restarting", "container-unready", "access-denied", "init-waiting",
       needs=together(owners, container_logs, _account), holds=lambda state, at: off(state, at) is not None)  # fmt: skip
def token_not_mounted(state: State, symptom: Symptom) -> Iterable[Finding]:
    pod = state.find(symptom.at)
    each = container(pod, symptom.at.part) if pod else None
    if pod is None or each is None:
        return
    mounted = any(str(one.get("mountPath", "")).rstrip("/") == HOME for one in each.spec.get("volumeMounts") or ())
    workload = workload_of(state, symptom.at)
    where = off(state, workload) or off(state, symptom.at.whole())
    fact = next(_said(state, symptom.at), None)
    if mounted or where is None or fact is None:
        return
    account = account_of(state, symptom.at.whole())
    yield Finding(
        "serviceaccount/token-not-mounted", workload, "proved",
        f"container {each.name} needs the token of its ServiceAccount {account.name} to talk to the API server, and {where[1]}, "
        "so none is mounted",
        supports=(fact, field(where[0], where[1]), field(pod, f"container {each.name} has no mount at {HOME}")),
        mends=(Mend("Mount the token into this workload's pods",
                    (set_field(workload, *spec_path(workload.kind), "automountServiceAccountToken", value=True),)),),
        weight=0.8,
    )  # fmt: skip
