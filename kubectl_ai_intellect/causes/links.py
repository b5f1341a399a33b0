"""How trouble travels: which symptom carries over which relation to which symptom. All causality between objects is here.

A row reads: a `cause` symptom at X makes an `effect` symptom at every Y to which X stands in the relation (`back`:
that stands so to X). The effects' own mechanisms stay ignorant of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from kubectl_ai_intellect.causes.base import Symptom
from kubectl_ai_intellect.causes.facts import hits, logs
from kubectl_ai_intellect.causes.refusals import uncalled
from kubectl_ai_intellect.causes.symptoms.pods import UNREACHED
from kubectl_ai_intellect.state.calls import asked_by_probe
from kubectl_ai_intellect.state.custom import makes, refers_to
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import shared_directories
from kubectl_ai_intellect.state.relations import Relation, lacking, near

Only = Callable[[State, Symptom, Symptom], bool]


class Link(NamedTuple):
    """One row of causality."""

    causes: frozenset[str]
    relation: Relation
    back: bool
    effects: frozenset[str]
    only: Only | None = None
    because: str = ""


def _row(
    causes: str, relation: Relation, effects: str, because: str, *, back: bool = False, only: Only | None = None
) -> Link:
    return Link(frozenset(causes.split()), relation, back, frozenset(effects.split()), only, because)


SECONDARY = frozenset({*UNREACHED, "dns-failure", "slow", "shutdown"})
"""What a log tells of peers, or of an end that somebody else brought about."""
CONTAINER = (
    "pull-failing config-refused start-refused container-restarting container-killed-memory init-waiting "
    "container-unready probe-killing container-finished hook-failing"
)
POD = f"gate-closed pod-unscheduled pod-stuck-creating pod-evicted pod-rejected pod-stuck-terminating pod-lost {CONTAINER}"


def _no_word(state: State, cause: Symptom, effect: Symptom) -> bool:
    """The scheduler has said nothing at all of this pod."""
    found = state.find(effect.at)
    told = any(each.reason == "FailedScheduling" for each in state.events(effect.at))
    return cause.note == "kube-scheduler" and found is not None and not found.condition("PodScheduled") and not told


def _manager(state: State, cause: Symptom, effect: Symptom) -> bool:
    return cause.note == "kube-controller-manager"


def _cluster_dns(state: State, cause: Symptom, effect: Symptom) -> bool:
    return cause.at.namespace == "kube-system" and cause.at.name in ("kube-dns", "coredns")


def _headless(state: State, cause: Symptom, effect: Symptom) -> bool:
    service = state.find(cause.at)
    return service is not None and service.spec.get("clusterIP") == "None"


def _asked_by_probe(state: State, cause: Symptom, effect: Symptom) -> bool:
    """A probe's own command reaches for that Service."""
    return cause.at.whole() in asked_by_probe(state, effect.at)


def _metrics(state: State, cause: Symptom, effect: Symptom) -> bool:
    return "metrics.k8s.io" in cause.at.name


def _only_homes(state: State, cause: Symptom, effect: Symptom) -> bool:
    """The node is one of those that the pod asks for, and all of those are unwell."""
    from kubectl_ai_intellect.causes.fit import blocked

    pod = state.find(effect.at)
    found = blocked(state, pod) if pod else None
    return found is not None and found.by == "unready" and any(node.ref == cause.at for node in found.nodes)


def _to_make(state: State, cause: Symptom, effect: Symptom) -> bool:
    """The custom resource is to write the Secret or ConfigMap that a pod, or a route's certificate, lacks."""
    maker = state.find(cause.at)
    if maker is None or cause.at.namespace != effect.at.namespace:
        return False
    if effect.note == "tls":
        return makes(maker, effect.at.part)
    return any(makes(maker, each.name) for each in lacking(state, effect.at))


def _referred(state: State, cause: Symptom, effect: Symptom) -> bool:
    """The one custom resource names the other: an ExternalSecret its store, a Kustomization its source."""
    found = state.find(effect.at)
    return found is not None and cause.at in refers_to(state, found)


def _says_nothing_else(state: State, cause: Symptom, effect: Symptom) -> bool:
    """Its log was read, and tells of no fault of its own."""
    own = state.find(cause.at)
    served = near(state, effect.at.whole(), Relation.SELECTS, back=True)
    digests = [digest for digest, _ in logs(state, effect.at)]
    told = [hit for digest in digests for hit in digest.hits if not hit.recovered and hit.kind not in SECONDARY]
    return own is not None and own.ref not in served and bool(digests) and not told


def _unanswered(state: State, cause: Symptom, effect: Symptom) -> bool:
    """The client got no answer, or an excuse; where a peer refuses it for a reason, the reason is between the two."""
    if cause.note.startswith("db-read-only"):
        return False  # a database writes so of its clients' statements
    return effect.note.startswith(
        ("http-upstream", "connection-", "dependency-missing", "grpc-unavailable", "no-route")
    )


def _loopback(state: State, cause: Symptom, effect: Symptom) -> bool:
    """Whom it fails to reach is in its own pod."""
    return effect.note.partition(" ")[2].rpartition(":")[0] in ("127.0.0.1", "localhost", "::1")


def _writes(state: State, cause: Symptom, effect: Symptom) -> bool:
    """The effect's log misses a file in an emptyDir that the two containers share."""
    pod = state.find(effect.at)
    shared = shared_directories(pod, cause.at.part, effect.at.part) if pod else ()
    missed = [hit.name for hit, _ in hits(state, effect.at, "file-not-found") if not hit.recovered]
    return any(name.startswith(f"{place}/") for name in missed for place in shared)


def _must_pass(state: State, cause: Symptom, effect: Symptom) -> bool:
    """It is this configuration's webhook that the API server cannot call for the workload's pods."""
    held = state.find(cause.at)
    hooks = {each.get("name") for each in held.raw.get("webhooks") or ()} if held else set[str]()
    return bool(hooks & uncalled(state, effect.at))


LINKS: tuple[Link, ...] = (
    _row(POD, Relation.MANAGES, "workload-short rollout-stalled job-failed job-unfinished cronjob-idle",
         "its pods do not come up", back=True),
    _row("create-refused", Relation.SAME, "workload-short rollout-stalled cronjob-idle", "its pods are refused"),
    _row("job-failed job-unfinished", Relation.OWNS, "cronjob-idle", "its Job does not end well", back=True),
    _row("init-waiting container-restarting", Relation.SAME, "container-unready init-waiting", "it does not get so far"),
    _row("client-failing name-failing access-denied", Relation.SAME,
         "container-restarting container-unready init-waiting probe-killing container-finished start-refused job-failed",
         "it cannot do without that peer"),
    _row("claim-pending claim-lost", Relation.MOUNTS, "pod-unscheduled pod-stuck-creating", "it mounts that claim", back=True),
    _row(POD, Relation.SELECTS, "no-endpoints", "the Service's backends are not ready", back=True),
    _row("workload-idle create-refused workload-short", Relation.SELECTS, "no-endpoints", "the Service has no backends", back=True),
    _row("no-endpoints port-unserved service-suspect", Relation.CALLS, "client-failing init-waiting", "it calls that Service", back=True),
    _row("no-endpoints", Relation.CALLS, "container-unready probe-killing", "its probe asks that Service", back=True, only=_asked_by_probe),
    _row("no-endpoints", Relation.CALLS, "container-unready probe-killing container-restarting",
         "it is set up to call that Service, and its log gives no other reason", back=True, only=_says_nothing_else),
    _row("service-suspect", Relation.CALLS, "name-failing", "it calls that Service", back=True),
    _row("no-endpoints", Relation.CALLS, "name-failing", "a headless Service without endpoints has no addresses", back=True,
         only=_headless),
    _row(CONTAINER, Relation.BESIDE, "client-failing", "it calls its neighbour in the pod", only=_loopback),
    _row(f"client-failing name-failing access-denied {CONTAINER}", Relation.BESIDE,
         "container-unready container-restarting init-waiting", "it waits for what its neighbour in the pod is to write", only=_writes),
    _row(POD, Relation.SERVES, "client-failing", "it is served by that pod"),
    _row("client-failing name-failing access-denied log-failing slow", Relation.SERVES, "client-failing",
         "it is served by that pod, which fails itself", only=_unanswered),
    _row("no-endpoints", Relation.ROUTES, "route-broken", "the route leads to that Service", back=True),
    _row("no-endpoints", Relation.BACKS, "api-unavailable webhook-failing", "it is served by that Service"),
    _row("webhook-failing", Relation.EVERYWHERE, "create-refused", "its pods must pass that webhook", only=_must_pass),
    _row("api-unavailable", Relation.EVERYWHERE, "scaler-blind", "there are no metrics", only=_metrics),
    _row("node-not-ready", Relation.RUNS_ON,
         "pod-lost pod-stuck-terminating container-unready pod-stuck-creating pod-evicted", "its node is not well", back=True),
    _row("node-not-ready", Relation.EVERYWHERE, "pod-unscheduled", "the node it asks for is not well", only=_only_homes),
    _row("workload-short workload-idle create-refused", Relation.SCALES, "scaler-blind", "what it scales has no pods to measure", back=True),
    _row("workload-short create-refused job-failed claim-pending no-endpoints", Relation.OWNS, "condition-false",
         "something that it owns is not well", back=True),
    _row("condition-false", Relation.EVERYWHERE, "route-broken config-refused pod-stuck-creating",
         "what it takes is to be written by that object", only=_to_make),
    _row("condition-false", Relation.EVERYWHERE, "condition-false", "it refers to that object", only=_referred),
    _row("component-silent", Relation.EVERYWHERE, "pod-unscheduled", "nobody schedules", only=_no_word),
    _row("component-silent", Relation.EVERYWHERE, "workload-unobserved workload-short rollout-stalled no-endpoints job-unfinished cronjob-idle",
         "no controller acts", only=_manager),
    _row("component-silent", Relation.RUNS_ON, "client-failing pod-stuck-creating", "its node's agent is not at work", back=True),
    _row("no-endpoints", Relation.EVERYWHERE, "name-failing", "cluster DNS has no endpoints", only=_cluster_dns),
    _row("pod-stuck-terminating deletion-stuck", Relation.EVERYWHERE, "deletion-stuck", "it is still in there",
         only=lambda state, cause, effect: effect.at.kind == "Namespace" and cause.at.namespace == effect.at.name),
)  # fmt: skip

__all__ = ["CONTAINER", "LINKS", "POD", "Link"]
