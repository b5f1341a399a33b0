"""Containers that do not start, or end, for reasons of their own declaration."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, hits, logged, logs, told
from kubectl_ai_intellect.causes.needs import container_logs, lists, owners, together
from kubectl_ai_intellect.causes.symptoms.objects import quantity
from kubectl_ai_intellect.evidence.logs import CHILD
from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.kube.source import Object
from kubectl_ai_intellect.state.edits import By, Edit, Patch, Step, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import Container, container, containers, declared
from kubectl_ai_intellect.state.relations import replica_sets, workload_of

READS = together(owners, container_logs)
NOT_FOUND = re.compile(
    r"(?i)executable file not found|no such file or directory|not found in \$?PATH|command not found|exec: \S+: not found"
)
NOT_EXECUTABLE = re.compile(r"(?i)permission denied|is a directory")
EXEC_FORMAT = re.compile(r"(?i)exec format error")


def _at(state: State, symptom: Symptom) -> tuple[Object | None, Container | None]:
    pod = state.find(symptom.at)
    return pod, container(pod, symptom.at.part) if pod else None


def _words(state: State, symptom: Symptom, each: Container) -> str:
    said = [one.message for one in state.events(symptom.at) if one.reason in ("Failed", "BackOff")]
    return " ".join([each.waiting.get("message") or "", each.death.get("message") or "", *said])


def _started_words(state: State, symptom: Symptom, each: Container) -> list[Fact]:
    """What the runtime said of starting the process: the message of its end, or the kubelet's event."""
    message = each.death.get("message") or each.waiting.get("message") or ""
    facts = [field(symptom.at.whole(), f"container {each.name} could not start: {message}")] if message else []
    facts += [
        told(one) for one in state.events(symptom.at) if one.reason == "Failed" and "start" in one.message.lower()
    ][:1]
    return facts


def _command(each: Container) -> str:
    words = [*(each.spec.get("command") or ()), *(each.spec.get("args") or ())]
    return " ".join(str(word) for word in words)


def command_mends(state: State, workload: Ref, each: Container, missing: str = "") -> Iterator[Mend]:
    """Give the container a command that exists: the last revision's, or the image's own; `missing`: what a shell lacks."""
    owner = state.find(workload)
    place = declared(owner, each.name) if owner else None
    if place is None:
        return
    spec, path = place
    for owned in replica_sets(state, workload):
        before = declared(owned, each.name)
        if before and (before[0].get("command"), before[0].get("args")) != (spec.get("command"), spec.get("args")):
            yield Mend(
                "Roll back to the revision with another command", (Patch(workload, action="rollback"),), kind="stopgap"
            )
            break
    for group in ("command", "args"):
        for index, word in enumerate(spec.get(group) or ()):
            named = re.compile(rf"(?<![\w./-]){re.escape(missing)}(?![\w-])")
            if missing and str(word) != missing and named.search(str(word)):
                changed = named.sub("<COMMAND>", str(word))
                yield Mend("Name a program that the image has", (Patch(workload, (Edit((*path, group, index), changed),)),),
                           unknown=(f"<COMMAND>: a program in image {each.image} in the place of {missing}",))  # fmt: skip
                return
    if spec.get("command"):
        value: list[Any] = ["<COMMAND>", *spec["command"][1:]]
        yield Mend(
            "Name a program that the image has",
            (set_field(workload, *path, "command", value=value),),
            unknown=(f"<COMMAND>: a program in image {each.image}; without `command` the image's own entrypoint runs",),
        )
    elif spec.get("args"):
        yield Mend("Give arguments that the image's entrypoint understands",
                   (set_field(workload, *path, "args", value=["<COMMAND>", *spec["args"][1:]]),),
                   unknown=(f"<COMMAND>: the first argument is taken as a program by image {each.image}",))  # fmt: skip
    else:
        yield Mend("Name the program to run", (set_field(workload, *path, "command", value=["<COMMAND>"]),),
                   unknown=(f"<COMMAND>: image {each.image} has no usable entrypoint of its own",))  # fmt: skip


@cause("container/command-not-found", "start-refused", "container-restarting", needs=READS)
def command_not_found(state: State, symptom: Symptom) -> Iterable[Finding]:
    pod, each = _at(state, symptom)
    if pod is None or each is None or symptom.note.startswith("CreateContainerConfigError"):
        return
    words = _words(state, symptom, each)
    code = each.death.get("exitCode")
    # The runtime's own words name the program; a mount that fails speaks of a missing file too.
    runtime = (
        bool(NOT_FOUND.search(words)) and "exec" in words and not re.search(r"(?i)error mounting|mount.*rootfs", words)
    )
    told_of = hits(state, symptom.at, "command-not-found")
    shell = [logged(symptom.at, hit, previous=previous) for hit, previous in told_of]
    if not runtime and code != 127:
        return
    if EXEC_FORMAT.search(words):
        return
    ran = _command(each) or f"the entrypoint of {each.image}"
    facts = [*(_started_words(state, symptom, each) if runtime else ()), *shell[:1]]
    facts.append(field(symptom.at.whole(), f"container {each.name} runs {ran} and ended with exit code {code}"))
    workload = workload_of(state, symptom.at)
    yield Finding(
        "container/command-not-found",
        workload,
        "proved" if runtime or shell else "likely",
        f"container {each.name} runs {told_of[0][0].name or ran}, and there is no such program in image {each.image} (exit {code})"
        if told_of and not runtime
        else f"container {each.name} runs {ran}, and there is no such program in image {each.image} (exit {code})",
        supports=tuple(facts[:3]),
        mends=tuple(command_mends(state, workload, each, told_of[0][0].name if told_of and not runtime else "")),
        weight=0.3,
    )


@cause("container/command-not-executable", "start-refused", "container-restarting", needs=READS)
def command_not_executable(state: State, symptom: Symptom) -> Iterable[Finding]:
    pod, each = _at(state, symptom)
    if pod is None or each is None:
        return
    words = _words(state, symptom, each)
    code = each.death.get("exitCode")
    runtime = "exec" in words and bool(NOT_EXECUTABLE.search(words)) and not NOT_FOUND.search(words)
    if (not runtime and code != 126) or EXEC_FORMAT.search(words) or "mount" in words.lower():
        return
    workload = workload_of(state, symptom.at)
    ran = _command(each) or f"the entrypoint of {each.image}"
    yield Finding(
        "container/command-not-executable",
        workload,
        "proved",
        f"container {each.name} runs {ran}, which is there but may not be executed (exit {code}): no execute permission, "
        "or not a program",
        supports=(*_started_words(state, symptom, each)[:2],
                  field(symptom.at.whole(), f"container {each.name} ended with exit code {code}")),
        mends=(*_mode_mends(state, workload, each), *command_mends(state, workload, each)),
        weight=0.3,
    )  # fmt: skip


def _mode_mends(state: State, workload: Ref, each: Container) -> Iterator[Mend]:
    """A program out of a ConfigMap or Secret volume gets the mode that the volume gives it."""
    from kubectl_ai_intellect.causes.areas.app import mount_over
    from kubectl_ai_intellect.state.pods import spec_path

    for word in [*(each.spec.get("command") or ()), *(each.spec.get("args") or ())][:3]:
        lying = mount_over(state, workload, each.name, str(word))
        kind = next((one for one in ("configMap", "secret", "projected") if lying and one in lying[0]), "")
        if lying and kind:
            path = (*spec_path(workload.kind), "volumes", By(lying[0]["name"]), kind, "defaultMode")
            yield Mend(
                f"Let the files of volume {lying[0]['name']} be executed", (set_field(workload, *path, value=0o755),)
            )
            return


def _nonroot(found: Object | None, name: str) -> tuple[bool, Any, tuple[Step, ...]]:
    """Whether runAsNonRoot holds for a container, the user it is to run as, and the path of its security context."""
    place = declared(found, name) if found else None
    if found is None or place is None:
        return False, None, ()
    own = place[0].get("securityContext") or {}
    from kubectl_ai_intellect.state.pods import pod_spec

    shared = pod_spec(found).get("securityContext") or {}
    flag = own.get("runAsNonRoot", shared.get("runAsNonRoot", False))
    return bool(flag), own.get("runAsUser", shared.get("runAsUser")), place[1]


@cause("container/run-as-nonroot", "config-refused", needs=owners)
def run_as_nonroot(state: State, symptom: Symptom) -> Iterable[Finding]:
    pod, each = _at(state, symptom)
    words = _words(state, symptom, each) if each else ""
    if pod is None or each is None or not re.search(r"runAsNonRoot|run as root|non-root policy", words):
        return
    workload = workload_of(state, symptom.at)
    owner = state.find(workload) or pod
    _, user, path = _nonroot(owner, each.name)
    asks = (
        "asks for user 0"
        if user == 0
        else ("names its user by a word, not a number" if "non-numeric" in words else "would run as root by its image")
    )
    mends = [Mend("Run it as a user that is not root", (set_field(workload, *path, "securityContext", "runAsUser", value=1000),),
                  risk="medium", unknown=("1000 is a guess: the image must be able to run as that user (its files and ports)",)),
             Mend("Allow root for this container",
                  (set_field(workload, *path, "securityContext", "runAsNonRoot", value=False),), risk="high")]  # fmt: skip
    yield Finding(
        "container/run-as-nonroot",
        workload,
        "proved",
        f"container {each.name} has runAsNonRoot, and image {each.image} {asks}, so the kubelet refuses it",
        supports=(field(symptom.at.whole(), f"container {each.name}: {each.waiting.get('message') or words[:200]}"),),
        mends=tuple(mends) if path else (),
        weight=0.5,
    )


@cause("container/oom-killed", "container-killed-memory", needs=together(owners, container_logs, lists("LimitRange")))
def oom_killed(state: State, symptom: Symptom) -> Iterable[Finding]:
    pod, each = _at(state, symptom)
    if pod is None or each is None:
        return
    workload = workload_of(state, symptom.at)
    limit = (each.spec.get("resources") or {}).get("limits", {}).get("memory", "")
    child = symptom.note == CHILD
    facts = [] if child else [
        field(symptom.at.whole(), f"container {each.name} was ended with reason OOMKilled (exit {each.death.get('exitCode')}), "
              f"{each.restarts} restarts")]  # fmt: skip
    facts.append(field(workload, f"container {each.name} has a memory limit of {limit}" if limit
                       else f"container {each.name} has no memory limit: the node itself ran out"))  # fmt: skip
    facts += [logged(symptom.at, hit, previous=previous) for hit, previous in hits(state, symptom.at, "out-of-memory")][
        :1
    ]
    heap = _heap(each)
    over = bool(heap and limit and quantity(heap) > 0.9 * quantity(limit))
    if over:
        facts.append(
            field(workload, f"container {each.name} lets Java's heap grow to {heap} (-Xmx), over the limit of {limit}")
        )
    yield Finding(
        "container/oom-killed",
        workload,
        "proved" if not child else "likely" if limit else "possible",
        f"a process of container {each.name} used more memory than the container's limit of {limit} and was killed, while "
        "its first process lives on" if child and limit
        else f"a process of container {each.name} was killed, as it seems for want of memory" if child
        else f"container {each.name} used more memory than its limit of {limit} and was killed by the kernel" + (
            f"; its Java heap alone may grow to {heap}" if over else "") if limit
        else f"container {each.name} was killed by the kernel because its node ran out of memory; it has no limit of its own",
        supports=tuple(facts),
        mends=tuple(memory_mends(state, workload, each, limit)),
        weight=0.4,
    )  # fmt: skip


def _heap(each: Container) -> str:
    """The largest Java heap that is allowed by a visible -Xmx, as a quantity."""
    words = [
        *(each.spec.get("command") or ()),
        *(each.spec.get("args") or ()),
        *(one.get("value") or "" for one in each.env()),
    ]
    found = re.findall(r"-Xmx(\d+)([kmgKMG]?)", " ".join(str(word) for word in words))
    return f"{found[-1][0]}{found[-1][1].upper() + 'i' if found[-1][1] else ''}" if found else ""


def doubled(text: str) -> str:
    """Twice a memory quantity, in the unit it is written in or in Mi."""
    match = re.fullmatch(r"(\d+)([KMGT]i?)", text)
    if match:
        return f"{int(match.group(1)) * 2}{match.group(2)}"
    return f"{max(int(quantity(text) * 2 / 2**20), 64)}Mi"


def memory_mends(state: State, workload: Ref, each: Container, limit: str) -> Iterator[Mend]:
    owner = state.find(workload)
    place = declared(owner, each.name) if owner else None
    if place is None or not limit:
        return
    for owned in replica_sets(state, workload):
        before = declared(owned, each.name)
        had = ((before[0].get("resources") or {}).get("limits") or {}).get("memory") if before else None
        if had and quantity(had) > quantity(limit):
            yield Mend(f"Give back the limit of an earlier revision, {had}",
                       (set_field(workload, *place[1], "resources", "limits", "memory", value=had),))  # fmt: skip
            return
    more = doubled(limit)
    while quantity(more) < max(64 * 2**20, 1.25 * quantity(_heap(each) or "0")):
        more = doubled(more)
    yield Mend(
        f"Raise the memory limit to {more}",
        (set_field(workload, *place[1], "resources", "limits", "memory", value=more),),
        unknown=(
            f"{more} is at least twice what it has; what it really needs shows only when it runs (kubectl top pod)",
        ),
    )


@cause("container/exits-zero", "container-finished", needs=READS)
def exits_zero(state: State, symptom: Symptom) -> Iterable[Finding]:
    pod, each = _at(state, symptom)
    if pod is None or each is None:
        return
    workload = workload_of(state, symptom.at)
    ran = _command(each) or f"the entrypoint of {each.image}"
    owner = state.find(workload)
    place = declared(owner, each.name) if owner else None
    mends: list[Mend] = []
    if place:
        mends.append(Mend("Run something that stays in the foreground", (set_field(workload, *place[1], "command", value=["<COMMAND>"]),),
                          unknown=("<COMMAND>: the long-running form of the program; work that is meant to end belongs in a Job",)))  # fmt: skip
    guarded = any(each.spec.get(probe) for probe in ("livenessProbe", "startupProbe"))
    last = [f"its last line is: {digest.last_lines[-1]}" for digest, _ in logs(state, symptom.at) if digest.last_lines][
        :1
    ]
    yield Finding(
        "container/exits-zero",
        workload,
        # With no event left, a probe's kill that the program took with grace looks the same.
        "likely" if guarded and not state.events(pod.ref) else "proved",
        f"container {each.name} runs {ran}, which ends by itself with exit code 0; restartPolicy Always starts it again, "
        "with growing delay",
        supports=(field(symptom.at.whole(), f"container {each.name} ended with Completed (exit 0), {each.restarts} restarts"),
                  *(field(symptom.at, text) for text in last)),
        mends=tuple(mends),
        weight=-0.2,
    )  # fmt: skip


@cause("container/port-conflict", "container-restarting", needs=READS)
def port_conflict(state: State, symptom: Symptom) -> Iterable[Finding]:
    pod, each = _at(state, symptom)
    if pod is None or each is None:
        return
    others = [one for one in containers(pod) if one.name != each.name and one.role != "init"]
    for hit, previous in hits(state, symptom.at, "port-in-use"):
        if not others:
            return
        port = hit.peer.port if hit.peer else None
        same = [one for one in others if port in {each.get("containerPort") for each in one.ports()}] or others
        workload = workload_of(state, symptom.at)
        yield Finding(
            "container/port-conflict",
            workload,
            "proved",
            f"containers {each.name} and {same[0].name} of one pod share its network, and both bind port {port or '(see log)'}",
            supports=(logged(symptom.at, hit, previous=previous),
                      field(symptom.at.whole(), f"the pod has containers {', '.join(one.name for one in containers(pod))}")),
            mends=tuple(_port_mends(state, workload, each, port)),
            weight=0.4,
        )  # fmt: skip
        return


def _port_mends(state: State, workload: Ref, each: Container, port: int | None) -> Iterator[Mend]:
    """Where the port is written in the container's environment or arguments, change it there."""
    owner = state.find(workload)
    place = declared(owner, each.name) if owner else None
    if place is None or port is None:
        return
    spec, path = place
    free = port + 1
    for index, variable in enumerate(spec.get("env") or ()):
        if str(variable.get("value", "")) == str(port):
            yield Mend(
                f"Let {each.name} listen on {free} instead",
                (Patch(workload, (Edit((*path, "env", index, "value"), str(free)),)),),
            )
            return
    for name in ("command", "args"):
        for index, word in enumerate(spec.get(name) or ()):
            if re.search(rf"(?<!\d){port}(?!\d)", str(word)):
                changed = re.sub(rf"(?<!\d){port}(?!\d)", str(free), str(word))
                yield Mend(
                    f"Let {each.name} listen on {free} instead",
                    (Patch(workload, (Edit((*path, name, index), changed),)),),
                )
                return


@cause("container/hook-failed", "hook-failing", needs=READS)
def hook_failed(state: State, symptom: Symptom) -> Iterable[Finding]:
    pod, each = _at(state, symptom)
    events = [one for one in state.events(symptom.at) if one.reason == symptom.note]
    if pod is None or each is None or not events:
        return
    hook = "postStart" if "Post" in symptom.note else "preStop"
    workload = workload_of(state, symptom.at)
    owner = state.find(workload)
    place = declared(owner, each.name) if owner else None
    mends = (Mend(f"Take the {hook} hook away, or correct its command",
                  (Patch(workload, (Edit((*place[1], "lifecycle", hook)),)),), risk="medium"),) if place else ()  # fmt: skip
    yield Finding(
        "container/hook-failed",
        workload,
        "proved" if hook == "postStart" else "likely",
        f"the {hook} hook of container {each.name} fails"
        + (", so the kubelet kills the container" if hook == "postStart" else ""),
        supports=tuple(told(one) for one in events[:1]),
        mends=mends,
        weight=0.3,
    )


@cause("container/read-only-rootfs", "container-restarting", "container-unready", needs=READS)
def read_only_rootfs(state: State, symptom: Symptom) -> Iterable[Finding]:
    pod, each = _at(state, symptom)
    if pod is None or each is None or not (each.spec.get("securityContext") or {}).get("readOnlyRootFilesystem"):
        return
    for hit, previous in hits(state, symptom.at, "read-only-filesystem"):
        workload = workload_of(state, symptom.at)
        directory = (
            hit.name.rsplit("/", 1)[0]
            if hit.name.startswith("/") and hit.name.count("/") > 1
            else hit.name or "<DIRECTORY>"
        )
        yield Finding(
            "container/read-only-rootfs",
            workload,
            "proved",
            f"container {each.name} has readOnlyRootFilesystem and writes to {hit.name or 'its file system'}",
            supports=(logged(symptom.at, hit, previous=previous),
                      field(workload, f"container {each.name} has readOnlyRootFilesystem: true")),
            mends=tuple(_writable(state, workload, each, directory)),
            weight=0.6,
        )  # fmt: skip
        return
    if not list(logs(state, symptom.at)) and symptom.kind == "container-restarting":
        yield from _unheard(state, symptom, each)


def _unheard(state: State, symptom: Symptom, each: Container) -> Iterator[Finding]:
    """Its log is gone: where the change that made its root file system read-only came last, that is the first guess."""
    workload = workload_of(state, symptom.at)
    before = [declared(owned, each.name) for owned in replica_sets(state, workload)]
    was = [(place[0].get("securityContext") or {}).get("readOnlyRootFilesystem") for place in before if place]
    changed = len(was) > 1 and not all(was)
    facts = [field(workload, f"container {each.name} has readOnlyRootFilesystem: true")]
    facts += [field(workload, "an earlier revision had not")] if changed else []
    yield Finding(
        "container/read-only-rootfs",
        workload,
        "likely" if changed else "possible",
        f"container {each.name} has readOnlyRootFilesystem, and its log, which would name what it cannot write, is gone",
        supports=tuple(facts),
        mends=tuple(_writable(state, workload, each, "<DIRECTORY>")),
        weight=-0.2,
    )


def _writable(state: State, workload: Ref, each: Container, directory: str) -> Iterator[Mend]:
    from kubectl_ai_intellect.state.edits import Append
    from kubectl_ai_intellect.state.pods import spec_path

    owner = state.find(workload)
    place = declared(owner, each.name) if owner else None
    if place is None:
        return
    edits = (
        Edit((*spec_path(workload.kind), "volumes", Append()), {"name": "writable", "emptyDir": {}}),
        Edit((*place[1], "volumeMounts", Append()), {"name": "writable", "mountPath": directory}),
    )
    unknown = (
        ("<DIRECTORY>: the directory it writes to; the log does not name it",) if directory == "<DIRECTORY>" else ()
    )
    yield Mend(f"Give it an emptyDir at {directory}", (Patch(workload, edits),), unknown=unknown)


@cause("container/init-failed", "init-waiting", "container-restarting", needs=READS)
def init_failed(state: State, symptom: Symptom) -> Iterable[Finding]:
    pod, each = _at(state, symptom)
    if pod is None or each is None or each.role != "init" or not each.death or each.death.get("exitCode") == 0:
        return
    last = next((digest.trace or "\n".join(digest.last_lines[-3:]) for digest, _ in logs(state, symptom.at)), "")
    facts = [
        field(
            symptom.at.whole(),
            f"init container {each.name} ended with exit code {each.death.get('exitCode')}, {each.restarts} restarts",
        )
    ]
    if last:
        facts.append(Fact(f"log of {each.name}: {last}", symptom.at))
    yield Finding(
        "container/init-failed",
        workload_of(state, symptom.at),
        "proved",
        f"init container {each.name} keeps failing (exit {each.death.get('exitCode')}), so the pod's own containers never start",
        supports=tuple(facts),
        weight=-0.1,
    )
