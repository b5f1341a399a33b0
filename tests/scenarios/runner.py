"""Stage scenarios: apply, wait until what they are about is really there, hand over, clean up.

`staged` does it for one scenario, `Staging` for many: those with a namespace of their own at once, those that
touch the whole cluster one by one.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import Any, Generic, TypeVar

from tests.scenarios.cluster import Cluster, CommandFailed, Json, Reader
from tests.scenarios.predicates import unseen
from tests.scenarios.scenario import Bound, Scenario, objects

T = TypeVar("T")

AT_ONCE = 8
PERIOD_S = 0.7
TIMEOUT_S = 120


class Cancelled(Exception):
    """Nobody wants the scenario any more."""


class NotSettled(Exception):
    """What a scenario is about did not come about in its time."""


@dataclass(frozen=True)
class Healed:
    """What is seen of a scenario once it is well, where its objects alone do not say so, and for how many seconds."""

    seen: tuple[Mapping[str, Any], ...] = ()
    lasting: int = 0


@dataclass(frozen=True)
class Settled:
    """A scenario that stands: its fault was seen twice."""

    scenario: Scenario
    cluster: Cluster
    bound: Bound
    seconds: float

    @property
    def namespace(self) -> str:
        return self.bound.namespace

    @property
    def question(self) -> str:
        return self.bound.data["question"]

    @property
    def expect(self) -> Mapping[str, Any]:
        return self.bound.expect

    @property
    def healed(self) -> Healed:
        """What its own file says of being well again."""
        said: Any = self.bound.data.get("healed") or {}
        if not isinstance(said, dict):
            return Healed(tuple(said))
        return Healed(tuple(said.get("seen") or ()), said.get("lasting", 0))

    def predicates(self) -> list[Mapping[str, Any]]:
        """All that is still true of it: the last step's predicates, or the first ones."""
        steps = self.bound.data.get("then") or [self.bound.data]
        return list(steps[-1]["until"])

    def unseen(self, reader: Reader) -> list[str]:
        """What another reader does not see of it."""
        return unseen(self.predicates(), reader, self.namespace)


class Staging(Generic[T]):
    """Scenarios being staged in the background: many at once, then alone those of the whole cluster.

    `visit` gets each scenario while it stands; `outcome` waits for what it returned.
    """

    def __init__(
        self,
        cluster: Cluster,
        scenarios: Sequence[Scenario],
        visit: Callable[[Settled], T],
        at_once: int = AT_ONCE,
    ) -> None:
        self._cluster, self._visit, self._over = cluster, visit, Event()
        self._many = ThreadPoolExecutor(max_workers=at_once)
        self._single = ThreadPoolExecutor(max_workers=1)
        together = [each for each in scenarios if not each.alone]
        self._futures = {each.name: self._many.submit(self._one, each) for each in together}
        before = list(self._futures.values())
        for each in scenarios:
            if each.alone:
                self._futures[each.name] = self._single.submit(self._after, before, each)

    def _one(self, scenario: Scenario) -> T:
        if self._over.is_set():
            raise Cancelled(scenario.name)
        with staged(self._cluster, scenario, self._over) as settled:
            return self._visit(settled)

    def _after(self, others: Sequence[Future[T]], scenario: Scenario) -> T:
        # Not `futures.wait`: it never hears of futures that a pool's shutdown cancelled.
        while not all(other.done() for other in others):
            if self._over.wait(PERIOD_S):
                break
        return self._one(scenario)

    def outcome(self, name: str) -> T:
        """What the visitor returned; raises what kept the scenario from standing."""
        return self._futures[name].result()

    def close(self) -> None:
        """Begin nothing more, wait for nothing more, and clean up what stands."""
        self._over.set()
        for wait_for_it in (False, True):
            for pool in (self._many, self._single):
                pool.shutdown(wait=wait_for_it, cancel_futures=True)


@contextmanager
def staged(cluster: Cluster, scenario: Scenario, over: Event | None = None) -> Iterator[Settled]:
    """One scenario, standing; all it made goes afterwards. Setting `over` ends the wait for it."""
    bound = scenario.bound()
    began = time.monotonic()
    made: list[Json] = []
    try:
        _prepare(cluster, bound.namespace)
        _play(cluster, bound, made, over or Event())
        yield Settled(scenario, cluster, bound, time.monotonic() - began)
    finally:
        _clean(cluster, bound, made)


def wait(cluster: Cluster, bound: Bound, predicates: Iterable[Mapping[str, Any]], timeout: float, over: Event) -> None:
    """Until all predicates hold in two looks running."""
    wanted = list(predicates)
    deadline = time.monotonic() + timeout
    seen = 0
    while True:
        lacking = unseen(wanted, cluster.api, bound.namespace)
        seen = 0 if lacking else seen + 1
        if seen == 2:
            return
        if lacking and time.monotonic() > deadline:
            raise NotSettled(f"{bound.scenario.name}: not seen within {timeout:.0f} s: {'; '.join(lacking)}")
        if over.wait(PERIOD_S):
            raise Cancelled(bound.scenario.name)


def _prepare(cluster: Cluster, namespace: str) -> None:
    """The namespace, with what a cluster puts into each: without its account a pod is refused."""
    cluster.run("create", "namespace", namespace)
    urls = [
        f"/api/v1/namespaces/{namespace}/serviceaccounts/default",
        f"/api/v1/namespaces/{namespace}/configmaps/kube-root-ca.crt",
    ]
    deadline = time.monotonic() + 30
    while any(cluster.api.get(url)[0] != 200 for url in urls):
        if time.monotonic() > deadline:
            raise NotSettled(f"namespace {namespace} got no service account: is the controller manager well?")
        time.sleep(0.1)


def _play(cluster: Cluster, bound: Bound, made: list[Json], over: Event) -> None:
    data = bound.data
    simulated = data.get("simulated") or {}
    if "stages" in simulated:
        apply(cluster, bound.namespace, objects(simulated["stages"]), made)
    apply(cluster, bound.namespace, bound.manifests, made)
    for each in simulated.get("status") or ():
        _patch(cluster, bound.namespace, each["of"], each["patch"], "--subresource=status")
    timeout = data.get("timeout", TIMEOUT_S)
    wait(cluster, bound, data["until"], timeout, over)
    for step in data.get("then") or ():
        if "apply" in step:
            apply(cluster, bound.namespace, objects(step["apply"]), made)
        elif "patch" in step:
            _patch(cluster, bound.namespace, step["patch"]["of"], step["patch"]["with"])
        elif "delete" in step:
            cluster.run("delete", step["delete"], f"--namespace={bound.namespace}", "--wait=false")
        else:
            cluster.stop(step["stop"])
        wait(cluster, bound, step["until"], step.get("timeout", timeout), over)


FIRST = ("Namespace", "CustomResourceDefinition")
SERVED_S = 60


def apply(cluster: Cluster, namespace: str, manifests: Sequence[Json], made: list[Json]) -> None:
    """Server-side apply; objects that name no namespace get the scenario's own."""
    made += manifests
    early = [each for each in manifests if each["kind"] in FIRST]
    late = [each for each in manifests if each["kind"] not in FIRST]
    _send(cluster, namespace, early)
    _await_served(cluster, [each for each in early if each["kind"] == FIRST[1]])
    _send(cluster, namespace, late)


def _send(cluster: Cluster, namespace: str, manifests: Sequence[Json]) -> None:
    if manifests:
        homed = [_homed(cluster, each, namespace) for each in manifests]
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": homed})
        cluster.run("apply", "--server-side", "--filename=-", text=text)


def _await_served(cluster: Cluster, definitions: Sequence[Json]) -> None:
    """Until discovery knows the kinds of new definitions, which takes longer than their condition says.

    A kind that is not known yet has no scope either: its objects would be sent to no namespace, that is, `default`.
    """
    if not definitions:
        return
    names = [f"crd/{each['metadata']['name']}" for each in definitions]
    cluster.run("wait", "--for=condition=Established", "--timeout=30s", *names)
    wanted = [f"{each['spec']['names']['kind']}.{each['spec']['group']}" for each in definitions]
    deadline = time.monotonic() + SERVED_S
    while lacking := [kind for kind in wanted if cluster.api.kind(kind) is None]:
        if time.monotonic() > deadline:
            raise NotSettled(f"the API serves no {', '.join(lacking)} {SERVED_S} s after its definition")
        time.sleep(0.2)


def _homed(cluster: Cluster, each: Json, namespace: str) -> Json:
    kind = cluster.api.kind(each["kind"])
    if kind is None or not kind.namespaced or each["metadata"].get("namespace"):
        return each
    return {**each, "metadata": {**each["metadata"], "namespace": namespace}}


def _patch(cluster: Cluster, namespace: str, on: str, patch: Mapping[str, Any], *more: str) -> None:
    # A merge patch works for every kind; a strategic one only for built-in kinds.
    words = ("patch", on, f"--namespace={namespace}", "--type=merge", f"--patch={json.dumps(patch)}", *more)
    cluster.run(*words)


def _clean(cluster: Cluster, bound: Bound, made: Sequence[Json]) -> None:
    """Delete what was made, without waiting: all but what no namespace takes along goes by itself."""
    cluster.resume([step["stop"] for step in bound.data.get("then") or () if "stop" in step])
    outside = [each for each in made if _outlives(cluster, each, bound.namespace)]
    for each in reversed(outside):
        name, home = each["metadata"]["name"], each["metadata"].get("namespace")
        where = [f"--namespace={home}"] if home else []
        with contextlib.suppress(CommandFailed):
            cluster.run("delete", each["kind"], name, *where, "--ignore-not-found", "--wait=false", "--force")
    with contextlib.suppress(CommandFailed):
        _free(cluster, made, bound.namespace)
        cluster.run("delete", "namespace", bound.namespace, "--ignore-not-found", "--wait=false")
        # Programs that do not heed SIGTERM would hold their places on the node for half a minute.
        swift = ("--grace-period=1", "--wait=false", "--ignore-not-found")
        cluster.run("delete", "pods", "--all", f"--namespace={bound.namespace}", *swift)


def _outlives(cluster: Cluster, each: Json, namespace: str) -> bool:
    kind = cluster.api.kind(each["kind"])
    if kind is not None and not kind.namespaced:
        return True
    return each["metadata"].get("namespace", namespace) != namespace


def _free(cluster: Cluster, made: Sequence[Json], namespace: str) -> None:
    """Take off finalizers that a scenario put on, or its namespace would never go."""
    for each in made:
        if each["metadata"].get("finalizers"):
            on = f"{each['kind']}/{each['metadata']['name']}"
            with contextlib.suppress(CommandFailed):
                _patch(
                    cluster,
                    each["metadata"].get("namespace", namespace),
                    on,
                    {"metadata": {"finalizers": None}},
                )


__all__ = ["Cancelled", "Healed", "NotSettled", "Settled", "Staging", "apply", "staged", "wait"]
