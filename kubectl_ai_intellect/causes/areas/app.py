"""Applications that end for a reason of their own which their log names: settings, files, rights, ports, crashes."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Any

from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Strength, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, hits
from kubectl_ai_intellect.causes.lastwords import PEERS, after, decisive_line, quoted, strongest, words
from kubectl_ai_intellect.causes.needs import container_logs, lists, owners, together
from kubectl_ai_intellect.causes.origins import (
    before,
    keys,
    rewritten,
    rolled_back,
    settings,
    supplied,
    variable,
    with_variable,
)
from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.kube.source import when
from kubectl_ai_intellect.state.edits import Append, By, Edit, Patch, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import (
    Container,
    container,
    containers,
    declared,
    pod_spec,
    shared_directories,
    spec_path,
)
from kubectl_ai_intellect.state.relations import pods_of, workload_of

READS = together(owners, container_logs)
ENDS = ("container-restarting", "init-waiting", "container-unready", "container-finished", "probe-killing",
        "log-failing")  # fmt: skip
BROKEN = ("panic", "segfault", "assertion", "module-missing", "deadlock", "version-mismatch", "schema-missing")
EX_CONFIG = 78
NAME = re.compile(r"[A-Z][A-Z0-9_]{1,80}|[A-Za-z_][A-Za-z0-9_]{1,80}")


def at(state: State, symptom: Symptom) -> Container | None:
    pod = state.find(symptom.at)
    return container(pod, symptom.at.part) if pod else None


def rollback(state: State, workload: Ref) -> Iterator[Mend]:
    if rolled_back(state, workload):
        yield Mend(
            "Go back to the revision before, while the cause is mended",
            (Patch(workload, action="rollback"),),
            kind="stopgap",
        )


# -- missing variables -------------------------------------------------------------------------------------------------


def _unset(state: State, workload: Ref) -> bool:
    """Whether a variable that a pod's log calls for is (still) not given by the template."""
    owner = state.find(workload)
    for pod in pods_of(state, workload) if owner else ():
        for each in containers(pod):
            for hit, _ in hits(state, each.ref, "missing-env"):
                if NAME.fullmatch(hit.name) and owner and supplied(state, owner, each.name, hit.name) is False:
                    return True
    return False


@cause("app/missing-env", *ENDS, needs=together(READS, lists("ConfigMap", "Secret")), holds=_unset)
def missing_env(state: State, symptom: Symptom) -> Iterable[Finding]:
    each = at(state, symptom)
    workload = workload_of(state, symptom.at)
    owner = state.find(workload)
    for word in words(state, symptom, "missing-env"):
        name, strength = word.hit.name, word.strength
        given = supplied(state, owner, symptom.at.part, name) if owner and NAME.fullmatch(name) else None
        if given and strength == "proved":
            strength = "likely"  # it is declared with a value; the log says otherwise
        says = f"container {symptom.at.part} needs the variable {name}, which is not set" if name else (
            f"container {symptom.at.part} says that a variable it needs is not set")  # fmt: skip
        facts = [word.fact]
        if given is False:
            facts.append(field(workload, f"container {symptom.at.part} has no value for variable {name}"))
            near = _near_variable(state, workload, symptom.at.part, name)
            says += f"; it has {near}" if near else ""
        mends = (
            (*_variable_mends(state, workload, each, name), *rollback(state, workload))
            if each and name and not given
            else ()
        )
        yield Finding(
            "app/missing-env", workload, strength, says, supports=tuple(facts), mends=tuple(mends), weight=0.3
        )
        return


def _near_variable(state: State, workload: Ref, container_name: str, name: str) -> str:
    """A declared variable whose name was most likely meant to be this one."""
    declared_names = [one.name for one in settings(state, workload, container_name) if one.path[0] == "env"]
    close = difflib.get_close_matches(name, declared_names, n=1, cutoff=0.8)
    return close[0] if close else ""


def _variable_mends(state: State, workload: Ref, each: Container, name: str) -> Iterator[Mend]:
    """From an earlier revision, from a ConfigMap or Secret that has the key, from a misspelt one; else a placeholder."""
    found = False
    for spec, revision in before(state, workload, each.name):
        entry = variable(spec, name)
        patch = with_variable(state, workload, each.name, entry) if entry else None
        if patch:
            number = revision.annotations.get("deployment.kubernetes.io/revision", "")
            yield Mend(f"Set {name} again as revision {number} had it", (patch,))
            return
    near = _near_variable(state, workload, each.name, name)
    owner = state.find(workload)
    place = declared(owner, each.name) if owner else None
    entry = variable(place[0], near) if place and near else None
    if entry is not None and place is not None:
        renamed = {**entry, "name": name}
        yield Mend(
            f"Rename the variable {near} to {name}", (Patch(workload, (Edit((*place[1], "env", By(near)), renamed),)),)
        )
        found = True
    for kind, source in (("ConfigMap", "configMapKeyRef"), ("Secret", "secretKeyRef")):
        holders = [one for one in state.all(kind, workload.namespace) if name in keys(one)]
        if len(holders) == 1:
            entry = {"name": name, "valueFrom": {source: {"name": holders[0].ref.name, "key": name}}}
            patch = with_variable(state, workload, each.name, entry)
            if patch:
                yield Mend(f"Take {name} from the {kind} {holders[0].ref.name}, which has that key", (patch,))
                found = True
    value = f"<VALUE_OF_{name.upper()}>"
    patch = None if found else with_variable(state, workload, each.name, {"name": name, "value": value})
    if patch:
        yield Mend(
            f"Set {name}", (patch,), unknown=(f"{value}: what {name} should be cannot be known from the cluster",)
        )


# -- settings that do not parse ----------------------------------------------------------------------------------------


@cause("app/bad-config", *ENDS, needs=READS)
def bad_config(state: State, symptom: Symptom) -> Iterable[Finding]:
    workload = workload_of(state, symptom.at)
    for word in words(state, symptom, "bad-config", "usage-error"):
        name, facts, mends = word.hit.name, [word.fact], list[Mend]()
        wrong = [
            one for one in settings(state, workload, symptom.at.part)
            if name and (one.name == name or (one.value == name and len(name) > 1) or _file(state, symptom, one, name))
        ] or [
            one for one in settings(state, workload, symptom.at.part)
            if one.path[0] == "env" and len(one.value) > 2 and _quoted(one.value, word.hit.line)
        ]  # fmt: skip
        says = f"container {symptom.at.part} does not accept its configuration: {word.hit.line}"
        if wrong:
            one = wrong[0]
            says = f"container {symptom.at.part} does not accept what {one.where} gives it: {word.hit.line}"
            shown = one.value if len(one.value) <= 80 and "\n" not in one.value else "a file"
            facts.append(
                field(
                    workload,
                    f"{one.where} is {shown!r}"
                    if shown != "a file"
                    else f"{one.where} is a file of {len(one.value)} characters",
                )
            )
            mends += _value_mends(state, workload, symptom.at.part, one.path, one.name)
        elif not name and (more := after(state, symptom.at, word.hit)):
            says += f": {more}"
            facts += [end] if (end := quoted(state, symptom.at)) else []
        elif word.hit.kind == "usage-error":
            mends += _argument_mends(state, workload, symptom.at.part, name)
        yield Finding("app/bad-config", workload, word.strength, says, supports=tuple(facts),
                      mends=(*mends, *rollback(state, workload)), weight=0.2)  # fmt: skip
        return
    yield from _ended_for_config(state, symptom)


def _ended_for_config(state: State, symptom: Symptom) -> Iterator[Finding]:
    """Ended with the code that sysexits.h keeps for a configuration that cannot be used."""
    each, end = at(state, symptom), quoted(state, symptom.at)
    if each is None or each.death.get("exitCode") != EX_CONFIG or end is None:
        return
    workload = workload_of(state, symptom.at)
    yield Finding(
        "app/bad-config", workload, "likely",
        f"container {each.name} ends with exit code {EX_CONFIG}, which means a configuration that cannot be used: "
        f"{decisive_line(state, symptom.at)}",
        supports=(field(symptom.at.whole(), f"container {each.name} ended with exit code {EX_CONFIG}"), end),
        mends=tuple(rollback(state, workload)),
    )  # fmt: skip


def _quoted(value: str, line: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(value)}(?![\w.-])", line) is not None


def _file(state: State, symptom: Symptom, one: Any, path: str) -> bool:
    """Whether a setting is the ConfigMap key that the container sees as this file."""
    if one.path[0] != "configmap" or "/" not in path:
        return False
    return path.rsplit("/", 1)[-1] == one.path[2] or one.path[2] in path


def _value_mends(state: State, workload: Ref, name: str, path: tuple[Any, ...], label: str) -> Iterator[Mend]:
    """An earlier revision's value of the variable, else a placeholder at the place where it is written."""
    if path[0] == "env":
        now = next((one.value for one in settings(state, workload, name) if one.path == path), None)
        for spec, revision in before(state, workload, name):
            entry = variable(spec, path[1])
            if entry is not None and entry.get("value") not in (None, now):
                patch = with_variable(state, workload, name, entry)
                number = revision.annotations.get("deployment.kubernetes.io/revision", "")
                if patch:
                    yield Mend(f"Set {path[1]} back to what revision {number} had, {entry['value']}", (patch,))
                    return
    slot = f"<{re.sub(r'[^A-Z0-9]', '_', label.upper())}>"
    patches = rewritten(state, workload, name, path, lambda _: slot)
    if patches:
        yield Mend(f"Correct {label}", patches,
                   unknown=(f"{slot}: a value that the program accepts (its log says what is wrong with this one)",))  # fmt: skip


def _argument_mends(state: State, workload: Ref, name: str, option: str) -> Iterator[Mend]:
    """The argument that holds the refused option, taken away."""
    owner = state.find(workload)
    place = declared(owner, name) if owner else None
    if place is None or not option:
        return
    for group in ("args", "command"):
        given = [str(word) for word in place[0].get(group) or ()]
        kept = [word for word in given if word.lstrip("-").partition("=")[0] != option.lstrip("-").partition("=")[0]]
        if len(kept) < len(given):
            yield Mend(f"Take the option {option} away, or correct its name",
                       (set_field(workload, *place[1], group, value=kept),), risk="medium")  # fmt: skip


# -- files -------------------------------------------------------------------------------------------------------------


@cause("app/file-not-found", *ENDS, needs=together(READS, lists("ConfigMap")))
def file_not_found(state: State, symptom: Symptom) -> Iterable[Finding]:
    workload = workload_of(state, symptom.at)
    for word in words(state, symptom, "file-not-found", "module-missing"):
        path = word.hit.name
        if word.hit.kind == "module-missing" and not path.startswith("/"):
            continue
        facts = [word.fact]
        if not path and (end := quoted(state, symptom.at)):
            facts.append(end)  # the line itself does not name the file; those around it may
        volume = mount_over(state, workload, symptom.at.part, path)
        if volume:
            facts.append(field(workload, f"volume {volume[0]['name']} is mounted at {volume[1]['mountPath']}"))
        shared = _to_be_written(state, symptom, path)
        yield Finding(
            "app/file-not-found", workload, "possible" if shared else word.strength,
            f"container {symptom.at.part} looks for the file {path or '(see log)'}, which is not there"
            + (f"; volume {volume[0]['name']} is mounted at {volume[1]['mountPath']} and does not hold it" if volume else ""),
            supports=tuple(facts),
            mends=(*_file_mends(state, workload, symptom.at.part, path), *rollback(state, workload)), weight=0.1,
        )  # fmt: skip
        return


def _to_be_written(state: State, symptom: Symptom, path: str) -> bool:
    """Whether another container of the pod, unwell itself, shares the emptyDir in which the file is missing."""
    pod = state.find(symptom.at)
    for other in containers(pod) if pod else ():
        ill = not other.ready or any(not hit.recovered for hit, _ in hits(state, other.ref, *PEERS))
        if other.name != symptom.at.part and ill and pod is not None:
            places = shared_directories(pod, other.name, symptom.at.part)
            if any(path.startswith(f"{place}/") for place in places):
                return True
    return False


def mount_over(state: State, workload: Ref, name: str, path: str) -> tuple[Any, Any] | None:
    """The volume and mount that lie over a path, the longest mount path first."""
    owner = state.find(workload)
    place = declared(owner, name) if owner else None
    if owner is None or place is None or not path.startswith("/"):
        return None
    volumes = {each.get("name"): each for each in pod_spec(owner).get("volumes") or ()}
    mounts = sorted(place[0].get("volumeMounts") or (), key=lambda one: -len(one.get("mountPath", "")))
    for mount in mounts:
        base = mount.get("mountPath", "").rstrip("/")
        if base and (path == base or path.startswith(base + "/")) and mount.get("name") in volumes:
            return volumes[mount["name"]], mount
    return None


def _file_mends(state: State, workload: Ref, name: str, path: str) -> Iterator[Mend]:
    if not path.startswith("/"):
        return
    directory, _, file = path.rpartition("/")
    lying = mount_over(state, workload, name, path)
    near = ""
    if lying and lying[0].get("configMap"):
        held = {one.path[2]: one for one in settings(state, workload, name)
                if one.path[:2] == ("configmap", lying[0]["configMap"].get("name"))}  # fmt: skip
        near = next(iter(difflib.get_close_matches(file, list(held), n=1, cutoff=0.5)), "")
        for one in settings(state, workload, name):
            if near and one.path[0] in ("env", "command", "args") and path in one.value:
                right = f"{directory}/{near}"
                patches = rewritten(
                    state, workload, name, one.path, lambda text, right=right: text.replace(path, right)
                )
                if patches:
                    yield Mend(f"Name the file that is there, {right}", patches)
                    return
        if near and not lying[0]["configMap"].get("items"):
            items = [{"key": key, "path": file if key == near else key} for key in sorted(held)]
            target = (*spec_path(workload.kind), "volumes", By(lying[0]["name"]), "configMap", "items")
            yield Mend(f"Mount the key {near} under the name {file}", (set_field(workload, *target, value=items),))
            return
    for holder in state.all("ConfigMap", workload.namespace):
        if file in keys(holder) and not lying:
            yield Mend(f"Mount the ConfigMap {holder.ref.name}, which has a key {file}",
                       (_mounted(state, workload, name, holder.ref.name, path, file),))  # fmt: skip
            return
    if any(path in one.value for one in settings(state, workload, name) if one.path[0] != "configmap"):
        one = next(one for one in settings(state, workload, name) if one.path[0] != "configmap" and path in one.value)
        patches = rewritten(state, workload, name, one.path, lambda text: text.replace(path, "<PATH>"))
        if patches:
            yield Mend(f"Name a file that is there ({one.where} names {path})", patches,
                       unknown=(f"<PATH>: a file that the container has; {path} is in no volume of it",))  # fmt: skip


def _mounted(state: State, workload: Ref, name: str, config: str, path: str, key: str) -> Patch:
    owner = state.find(workload)
    place = declared(owner, name) if owner else None
    at_container = place[1] if place else (*spec_path(workload.kind), "containers", By(name))
    volume = {"name": config, "configMap": {"name": config}}
    mount = {"name": config, "mountPath": path, "subPath": key}
    return Patch(workload, (Edit((*spec_path(workload.kind), "volumes", Append()), volume),
                            Edit((*at_container, "volumeMounts", Append()), mount)))  # fmt: skip


# -- rights and ports --------------------------------------------------------------------------------------------------


@cause("app/permission-denied", *ENDS, needs=READS)
def permission_denied(state: State, symptom: Symptom) -> Iterable[Finding]:
    workload = workload_of(state, symptom.at)
    for word in words(state, symptom, "permission-denied"):
        what = word.hit.name
        user = _user(state, workload, symptom.at.part)
        low = what.isdigit() and int(what) < 1024
        deed = f"bind port {what}, which only root may" if low else f"use {what}" if what else "do what its log says"
        yield Finding(
            "app/permission-denied", workload, word.strength,
            f"container {symptom.at.part}{f' runs as user {user} and' if user is not None else ''} may not {deed}",
            supports=(word.fact, *((field(workload, f"container {symptom.at.part} runs as user {user}"),) if user is not None else ())),
            mends=tuple(_right_mends(state, workload, symptom.at.part, what, low)), weight=0.1,
        )  # fmt: skip
        return


def _user(state: State, workload: Ref, name: str) -> int | None:
    owner = state.find(workload)
    place = declared(owner, name) if owner else None
    if owner is None or place is None:
        return None
    shared = pod_spec(owner).get("securityContext") or {}
    return (place[0].get("securityContext") or {}).get("runAsUser", shared.get("runAsUser"))


def _right_mends(state: State, workload: Ref, name: str, what: str, low: bool) -> Iterator[Mend]:
    owner = state.find(workload)
    place = declared(owner, name) if owner else None
    if owner is None or place is None:
        return
    if low:
        security = pod_spec(owner).get("securityContext") or {}
        wanted = {"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}
        sysctls = [*(one for one in security.get("sysctls") or () if one.get("name") != wanted["name"]), wanted]
        yield Mend("Let the pod's users bind low ports (a sysctl of the pod's own network)",
                   (set_field(workload, *spec_path(workload.kind), "securityContext", "sysctls", value=sysctls),))  # fmt: skip
        return
    directory = what.rpartition("/")[0]
    if directory.startswith("/") and directory.count("/") > 1 and mount_over(state, workload, name, what) is None:
        volume = {"name": "writable", "emptyDir": {}}
        edits = (Edit((*spec_path(workload.kind), "volumes", Append()), volume),
                 Edit((*place[1], "volumeMounts", Append()), {"name": "writable", "mountPath": directory}))  # fmt: skip
        yield Mend(f"Give it a writable emptyDir at {directory}", (Patch(workload, edits),), risk="medium",
                   unknown=("an emptyDir hides what the image has in that directory and is lost with the pod",))  # fmt: skip
    if (place[0].get("securityContext") or {}).get("runAsUser") is not None:
        yield Mend(
            "Let it run as the image's own user",
            (Patch(workload, (Edit((*place[1], "securityContext", "runAsUser")),)),),
            risk="medium",
        )
    elif (pod_spec(owner).get("securityContext") or {}).get("runAsUser") is not None:
        path = (*spec_path(workload.kind), "securityContext", "runAsUser")
        yield Mend("Let it run as the image's own user", (Patch(workload, (Edit(path),)),), risk="medium")


@cause("app/port-in-use", *ENDS, needs=READS)
def port_in_use(state: State, symptom: Symptom) -> Iterable[Finding]:
    pod = state.find(symptom.at)
    if pod is None or sum(one.role != "init" for one in containers(pod)) > 1:
        return  # two containers of one pod: container/port-conflict
    workload = workload_of(state, symptom.at)
    for word in words(state, symptom, "port-in-use"):
        port = (
            word.hit.name
            if word.hit.name.isdigit()
            else str(word.hit.peer.port)
            if word.hit.peer and word.hit.peer.port
            else ""
        )
        twice = [
            one
            for one in settings(state, workload, symptom.at.part)
            if port and one.path[0] == "env" and one.value == port
        ]
        if not port:  # the log does not say which: two settings with one and the same port do
            ports = [
                one
                for one in settings(state, workload, symptom.at.part)
                if one.path[0] == "env" and "PORT" in one.name.upper()
            ]
            twice = [one for one in ports if sum(other.value == one.value for other in ports) > 1]
            port = twice[0].value if twice else ""
        host = bool(pod.spec.get("hostNetwork"))
        facts: list[Fact] = [word.fact, *(field(workload, f"{one.where} is {one.value}") for one in twice)]
        if host:
            facts.append(field(workload, "hostNetwork is true: the pod shares the node's ports"))
        says = f"container {symptom.at.part} cannot bind port {port or '(see log)'}: something in its network holds it already"
        says += (
            " (the node's network is shared)"
            if host
            else f" ({' and '.join(o.name for o in twice)} name the same port)"
            if len(twice) > 1
            else ""
        )
        mends: list[Mend] = []
        if len(twice) > 1 and port.isdigit():
            free = str(int(port) + 1)
            patches = rewritten(state, workload, symptom.at.part, twice[-1].path, lambda _, free=free: free)
            if patches:
                mends.append(Mend(f"Give {twice[-1].name} a port of its own, {free}", patches))
        yield Finding(
            "app/port-in-use", workload, word.strength, says, supports=tuple(facts), mends=tuple(mends), weight=0.2
        )
        return


# -- crashes -----------------------------------------------------------------------------------------------------------


@cause("app/crash", "container-restarting", needs=READS)
def crash(state: State, symptom: Symptom) -> Iterable[Finding]:
    each = at(state, symptom)
    if each is None or (each.death.get("exitCode") in (None, 0) and not each.waiting):
        return
    if each.role == "init":
        return  # container/init-failed quotes it
    workload = workload_of(state, symptom.at)
    code = each.death.get("exitCode")
    end = quoted(state, symptom.at)
    top = strongest(state, symptom.at)
    line = top.line if top is not None and top.kind in BROKEN else decisive_line(state, symptom.at)
    strength: Strength = "proved" if end else "likely"
    weight = 0.0
    if top is not None and top.kind in PEERS:  # it died of something else's failure
        strength, weight = "possible", -1.0
    facts = [
        field(
            symptom.at.whole(),
            f"container {each.name} ended with exit code {code}{_signal(code)}, {each.restarts} restarts",
        )
    ]
    facts += [end] if end else []
    yield Finding(
        "app/crash", workload, strength,
        f"the program in container {each.name} ends by itself with exit code {code}{_signal(code)}"
        + (f": {line}" if line else "; its log says nothing of why"),
        supports=tuple(facts), mends=tuple(rollback(state, workload)), weight=weight,
    )  # fmt: skip


def _signal(code: Any) -> str:
    names = {
        134: "SIGABRT",
        135: "SIGBUS",
        136: "SIGFPE",
        137: "SIGKILL",
        139: "SIGSEGV",
        143: "SIGTERM",
        130: "SIGINT",
    }
    return f" ({names[code]})" if code in names else ""


# -- memory ------------------------------------------------------------------------------------------------------------


@cause("app/memory-leak", "container-killed-memory", needs=READS)
def memory_leak(state: State, symptom: Symptom) -> Iterable[Finding]:
    """Out of memory again and again, each time only after long service: what it needs grows with time."""
    each = at(state, symptom)
    limit = ((each.spec.get("resources") or {}).get("limits") or {}).get("memory", "") if each else ""
    start, end = (when(each.death.get("startedAt")), when(each.death.get("finishedAt"))) if each else (None, None)
    if each is None or start is None or end is None or not limit or each.restarts < 2:
        return
    lived = (end - start).total_seconds()
    if lived < LONG:
        return
    from kubectl_ai_intellect.causes.areas.container import memory_mends

    workload = workload_of(state, symptom.at)
    yield Finding(
        "app/memory-leak", workload, "proved",
        f"container {each.name} serves for {lived / 60:.0f} min until its memory reaches the limit of {limit}, and was killed so "
        f"{each.restarts} times: what it holds grows with time",
        supports=(field(symptom.at.whole(), f"container {each.name}: OOMKilled after {lived / 60:.0f} min, {each.restarts} restarts"),
                  field(workload, f"container {each.name} has a memory limit of {limit}")),
        mends=tuple(Mend(one.title, one.patches, "stopgap", one.risk, one.unknown) for one in memory_mends(state, workload, each, limit)),
        weight=0.5,
    )  # fmt: skip


LONG = 600
"""Seconds: a container that was well for so long did not start with too little memory."""
