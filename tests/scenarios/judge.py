"""Hold an answer of the product against what a scenario expects, and try the mend it prints."""

from __future__ import annotations

import fnmatch
import json
import re
import shlex
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tests.scenarios.cluster import Cluster, Json, Reader
from tests.scenarios.predicates import unseen
from tests.scenarios.runner import PERIOD_S, Settled

Diagnosis = Mapping[str, Any]

ANSWERS = ("answered", "declined", "not_found")
"""How an answer stands that is no diagnosis."""
FLAPPING_S = 20
"""How long a crash loop may look well between two restarts."""
SHELL_WORDS = {"|", "||", "&", "&&", ";", ">", ">>", "<", "<<"}


class MendFailed(Exception):
    """The printed fix could not be run as printed."""


def judge(diagnosis: Diagnosis, expect: Mapping[str, Any]) -> list[str]:
    """All that is wrong with the answer; an empty list is a right one."""
    if expect["status"] in ANSWERS:
        return list(_answer(diagnosis, expect))
    if diagnosis.get("kind") != "Diagnosis":
        return [
            f"a Diagnosis is expected, not {diagnosis.get('kind')!r}: {(diagnosis.get('answer') or {}).get('text')}"
        ]
    return [*_verdict(diagnosis["verdict"], expect), *_others(diagnosis, expect), *_words(diagnosis, expect),
            *_ruled_out(diagnosis["verdict"], expect), *sound(diagnosis)]  # fmt: skip


def _answer(report: Mapping[str, Any], expect: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with an answer that should be a table, or say that something is not there."""
    answer = report.get("answer")
    if not answer:
        verdict = report.get("verdict") or {}
        yield f"a diagnosis ({verdict.get('status')}, {verdict.get('cause')}) instead of {expect['status']!r}"
        return
    if answer.get("status") != expect["status"]:
        yield f"status {answer.get('status')!r} ({answer.get('text')}) instead of {expect['status']!r}"
    for wanted in expect.get("near") or ():
        if not any(_is(each, wanted) for each in answer.get("near") or ()):
            yield f"does not offer {wanted}"
    rows = answer.get("rows") or []
    if len(rows) != expect.get("rows", len(rows)):
        yield f"{len(rows)} rows instead of {expect['rows']}"
    yield from _said("\n".join(_strings(answer)), expect)


def named(each: Mapping[str, Any] | None) -> str:
    """An object of the answer as Kind/name."""
    return f"{each.get('kind')}/{each.get('name')}" if each else "nothing"


def _verdict(verdict: Mapping[str, Any], expect: Mapping[str, Any]) -> Iterator[str]:
    status = verdict.get("status")
    if status != expect["status"]:
        yield f"status {status!r} ({verdict.get('cause')}) instead of {expect['status']!r}"
        return
    if status != "root_cause":
        if verdict.get("cause") not in (None, status):
            yield f"status {status!r}, and yet a cause: {verdict['cause']}"
        return
    causes = expect.get("any_of") or [expect["cause"]]
    if verdict.get("cause") not in causes:
        yield f"cause {verdict.get('cause')} instead of {' or '.join(causes)}"
    if not _is(verdict.get("object"), expect["object"]):
        yield f"object {named(verdict.get('object'))} instead of {expect['object']}"


def _is(each: Mapping[str, Any] | None, wanted: str | Sequence[str]) -> bool:
    allowed = [wanted] if isinstance(wanted, str) else wanted
    return any(fnmatch.fnmatchcase(named(each), pattern) for pattern in allowed)


def _others(diagnosis: Diagnosis, expect: Mapping[str, Any]) -> Iterator[str]:
    """Independent roots that must be told; where all is well, none may be that are not expected."""
    found = (diagnosis["verdict"], *(diagnosis.get("findings") or ()))
    if expect["status"] == "healthy" and not expect.get("also"):
        for each in found[1:]:
            yield f"a finding of {each.get('cause')} at {named(each.get('object'))}, though all is well"
    for wanted in expect.get("also") or ():
        if not any(
            each.get("cause") == wanted["cause"] and _is(each.get("object"), wanted["object"]) for each in found
        ):
            yield f"no finding of {wanted['cause']} at {wanted['object']}"


def told(diagnosis: Diagnosis) -> str:
    """All that a person reads of the answer about its verdict."""
    verdict = diagnosis["verdict"]
    shown = {key: verdict.get(key) for key in ("title", "explanation", "object", "chain", "fix", "missing")}
    evidence = [[each.get("text"), each.get("command")] for each in diagnosis.get("evidence") or ()]
    return "\n".join(_strings([shown, evidence]))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, Iterable):
        for each in value:
            yield from _strings(each)


def _words(diagnosis: Diagnosis, expect: Mapping[str, Any]) -> Iterator[str]:
    yield from _said(told(diagnosis), expect)


def _said(words: str, expect: Mapping[str, Any]) -> Iterator[str]:
    text = words.lower()
    for word in expect.get("words") or ():
        if word.lower() not in text:
            yield f"says nothing of {word!r}"
    for word in expect.get("no_words") or ():
        if word.lower() in text:
            yield f"speaks of {word!r}"


def _ruled_out(verdict: Mapping[str, Any], expect: Mapping[str, Any]) -> Iterator[str]:
    refuted = {each.get("cause") for each in verdict.get("alternatives") or () if each.get("ruledOutBy")}
    for cause in expect.get("ruled_out") or ():
        if cause not in refuted:
            yield f"does not rule out {cause} by evidence"


def sound(diagnosis: Diagnosis) -> Iterator[str]:
    """What holds of every answer, whatever was asked: claims cite what is there, commands can be run."""
    known = {each["id"] for each in diagnosis.get("evidence") or ()}
    for verdict in (diagnosis["verdict"], *(diagnosis.get("findings") or ())):
        for step in verdict.get("chain") or ():
            for cited in step.get("evidence") or ():
                if cited not in known:
                    yield f"the chain cites {cited}, which is no evidence"
        if verdict.get("status") == "root_cause" and not verdict.get("chain"):
            yield f"{verdict.get('cause')} is claimed without a chain"
        for fix in verdict.get("fix") or ():
            for command in fix.get("commands") or ():
                problem = _unrunnable(_parted(command)[0])
                if problem:
                    yield f"fix {command!r}: {problem}"
    if diagnosis["verdict"].get("status") == "inconclusive" and not diagnosis["verdict"].get("missing"):
        yield "inconclusive, and does not say what is missing"


def _unrunnable(command: str) -> str:
    try:
        words = shlex.split(command)
    except ValueError as problem:
        return str(problem)
    if not words or words[0] != "kubectl":
        return "does not start with kubectl"
    if "edit" in words[:3]:
        return "opens an editor"
    return "needs a shell" if SHELL_WORDS & set(words) else ""


def apply_fix(cluster: Cluster, diagnosis: Diagnosis, fill: Mapping[str, str] | None = None) -> list[str]:
    """Run the first mend that can be filled in, exactly as printed; the commands that were run."""
    verdict = diagnosis["verdict"]
    mends = [fix for fix in verdict.get("fix") or () if fix.get("kind") == "mend"]
    if not mends:
        raise MendFailed("the answer prints no mend")
    lacking: set[str] = set()
    for mend in mends:
        commands = [_filled(command, fill or {}) for command in mend.get("commands") or ()]
        lacking = {mark for line in commands for mark in PLACEHOLDER.findall(line)}
        if commands and not lacking:
            break
    else:
        raise MendFailed(f"no mend can be run: nothing is given for {', '.join(sorted(lacking)) or 'its commands'}")
    for command in commands:
        line, document = _parted(command)
        if problem := _unrunnable(line):
            raise MendFailed(f"{command!r} {problem}")
        cluster.run(*shlex.split(line)[1:], text=document, timeout=120)
    return commands


PLACEHOLDER = re.compile(r"<[A-Z][A-Z0-9_]*>")
HEREDOC = re.compile(r"^(?P<line>[^\n]*?) <<'EOF'\n(?P<text>.*)\nEOF\n?$", re.DOTALL)


def _parted(command: str) -> tuple[str, str | None]:
    """A command and the document that a heredoc hands it."""
    match = HEREDOC.match(command)
    return (match["line"], match["text"] + "\n") if match else (command, None)


def _filled(command: str, fill: Mapping[str, str]) -> str:
    for placeholder, value in fill.items():
        command = command.replace(f"<{placeholder.strip('<>')}>", value)
    return command


def wait_healthy(settled: Settled, timeout: float = 120) -> list[str]:
    """Until the scenario is well, for as long as it asks; what still ails when the time is up."""
    lasting = settled.healed.lasting
    deadline = time.monotonic() + timeout + lasting
    starts = restarts(settled)
    since: float | None = None
    while True:
        ailing, before, starts = ailments(settled, settled.cluster.api), starts, restarts(settled)
        if lasting:
            ailing += _again(before, starts)
        now = time.monotonic()
        if ailing:
            since = None
        elif since is None:
            since = now
        elif now - since >= lasting:
            return []
        if now > deadline:
            return ailing or [f"not well for {lasting} s on end"]
        time.sleep(PERIOD_S)


def ails(settled: Settled) -> bool:
    """Whether it is unwell: now, or, where being well must last, at some moment of as long a time."""
    deadline = time.monotonic() + max(settled.healed.lasting, FLAPPING_S)
    starts = restarts(settled)
    while True:
        before, starts = starts, restarts(settled)
        if ailments(settled, settled.cluster.api) or _again(before, starts):
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(PERIOD_S)


def restarts(settled: Settled) -> dict[tuple[str, str], int]:
    """How often each container of the namespace was started again, by the pod's uid and its own name."""
    return {
        (pod["metadata"]["uid"], each["name"]): each.get("restartCount", 0)
        for pod in settled.cluster.api.objects("Pod", settled.namespace)
        for each in (pod.get("status") or {}).get("containerStatuses") or ()
    }


def _again(before: Mapping[tuple[str, str], int], now: Mapping[tuple[str, str], int]) -> list[str]:
    return [f"container {key[1]} was started again" for key, count in now.items() if count > before.get(key, count)]


def ailments(settled: Settled, reader: Reader) -> list[str]:
    """What is not well: what the scenario itself says healing means, else whether its objects do their work."""
    seen = settled.healed.seen
    if seen:
        return unseen(seen, reader, settled.namespace)
    namespace = settled.namespace
    found = [problem for kind in WORKLOADS for each in reader.objects(kind, namespace) for problem in _workload(each)]
    for claim in reader.objects("PersistentVolumeClaim", namespace):
        if claim["status"].get("phase") != "Bound":
            found.append(f"{_name(claim)} is {claim['status'].get('phase')}")
    slices = reader.objects("EndpointSlice", namespace)
    for service in reader.objects("Service", namespace):
        if service["spec"].get("selector") and not _serves(service, slices):
            found.append(f"{_name(service)} has no ready endpoint")
    return found


WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "Pod")


def _name(each: Json) -> str:
    return f"{each.get('kind', '')} {each['metadata']['name']}".strip()


def _workload(each: Json) -> Iterator[str]:
    spec, status = each["spec"], each.get("status") or {}
    if "jobTemplate" in spec or each["metadata"].get("deletionTimestamp"):
        return
    if "desiredNumberScheduled" in status:
        wanted, have = status["desiredNumberScheduled"], status.get("numberReady", 0)
    elif "replicas" in spec:
        wanted, have = spec["replicas"], min(status.get("readyReplicas", 0), status.get("updatedReplicas", 0))
    else:
        yield from _ended(each)
        return
    if have < wanted or status.get("observedGeneration", 0) < each["metadata"]["generation"]:
        yield f"{_name(each)}: {have} of {wanted} ready and up to date"


def _ended(each: Json) -> Iterator[str]:
    """Jobs and pods by themselves."""
    status = each.get("status") or {}
    true = {one["type"] for one in status.get("conditions") or () if one["status"] == "True"}
    if "containers" in each["spec"]:
        if "Ready" not in true and status.get("phase") != "Succeeded":
            yield f"{_name(each)} is not ready{_waits(each)}"
    elif "Complete" not in true:
        yield f"{_name(each)} is not complete"


def _waits(pod: Json) -> str:
    """What its containers wait for, and with which image."""
    images = {each["name"]: each["image"] for each in pod["spec"]["containers"]}
    states = {each["name"]: each.get("state") or {} for each in pod["status"].get("containerStatuses") or ()}
    told = [f"{name} ({image}): {json.dumps(states.get(name, 'no state'))}" for name, image in images.items()]
    return f" ({pod['status'].get('phase')}; {'; '.join(told)})"


def _serves(service: Json, slices: Iterable[Json]) -> bool:
    return any(
        endpoint.get("conditions", {}).get("ready")
        for each in slices
        if (each["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == service["metadata"]["name"]
        for endpoint in each.get("endpoints") or ()
    )


def as_diagnosis(text: str) -> Diagnosis:
    """The answer as the product printed it with `-o json`."""
    return json.loads(text)


__all__ = [
    "ANSWERS",
    "MendFailed",
    "ailments",
    "ails",
    "apply_fix",
    "as_diagnosis",
    "judge",
    "named",
    "sound",
    "told",
    "wait_healthy",
]
