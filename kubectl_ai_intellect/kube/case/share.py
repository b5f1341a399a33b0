"""Pseudonyms for a case that leaves the house: names, hosts and images go, what is wrong stays.

Names are taken apart at their dashes and dots, so that `cart-redis-0` becomes `n3-redis-0` wherever it stands:
as a name, in a selector, in a host, in a message, in a log. Words that name nobody stay (see `vocabulary`).
Addresses keep their neighbourhoods: two in one network stay in one network.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from kubectl_ai_intellect.kube.case.model import Case, Reason, RecordedList, RecordedLog
from kubectl_ai_intellect.kube.case.vocabulary import kept_words, libraries
from kubectl_ai_intellect.kube.refs import KNOWN

Json = Any

NAMING = frozenset(
    {"name", "namespace", "nodeName", "hostname", "subdomain", "host", "hosts", "externalName", "generateName"}
    | {
        "serviceName",
        "serviceAccountName",
        "serviceAccount",
        "secretName",
        "claimName",
        "volumeName",
        "ingressClassName",
    }
    | {"storageClassName", "priorityClassName", "runtimeClassName", "clusterName", "app", "tier", "team", "manager"}
)
"""Fields whose values are names."""

IMAGES = frozenset({"image", "imageID", "names"})
MAPS = frozenset(
    {
        "labels",
        "matchLabels",
        "nodeSelector",
        "selector",
        "annotations",
        "data",
        "binaryData",
        "f:labels",
        "f:annotations",
    }
)
"""Maps whose keys are the user's words too."""

FIXED = frozenset(
    [
        "kind",
        "apiVersion",
        "type",
        "phase",
        "protocol",
        "scheme",
        "operator",
        "effect",
        "restartPolicy",
        "imagePullPolicy",
        "dnsPolicy",
        "schedulerName",
        "terminationMessagePolicy",
        "policyTypes",
        "accessModes",
        "volumeMode",
        "operation",
        "qosClass",
        "uid",
        "resourceVersion",
        "provisioner",
        "verbs",
        "resources",
        "apiGroups",
        "concurrencyPolicy",
        "completionMode",
        "topologyKey",
        "medium",
        "creationTimestamp",
        "startTime",
        "startedAt",
        "finishedAt",
        "lastTransitionTime",
        "lastTimestamp",
        "firstTimestamp",
        "eventTime",
        "renewTime",
        "acquireTime",
        "time",
        "containerID",
        "pod-template-hash",
        "controller-revision-hash",
        "reclaimPolicy",
        "persistentVolumeReclaimPolicy",
        "operatingSystem",
        "architecture",
        "kubeletVersion",
        "kubeProxyVersion",
        "containerRuntimeVersion",
        "kernelVersion",
        "osImage",
        "caBundle",
    ]
)
"""Fields whose values the API defines."""

STANDARD = ("kubernetes.io", "k8s.io", "helm.sh", "argoproj.io", "fluxcd.io", "cert-manager.io")
CONTROL_PLANE = re.compile(r"(?:system[:-]|kube-|kubeadm:|eks:|gke-)|.*\.k8s\.io$|v\d\w*\.\w*$")
"""Names that every cluster has."""

SYSTEM = frozenset({"kube-system", "kube-public", "kube-node-lease"})
WORKLOADS = frozenset({"Pod", "Deployment", "DaemonSet", "StatefulSet", "Job", "CronJob", "Service"})
"""In the system's namespaces, only these may carry names of the house."""

_SPLIT = re.compile(r"[^A-Za-z0-9]+")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_RANDOM = re.compile(r"[bcdfghjklmnpqrstvwxz0-9]{5,10}$|(?=.*\d)[0-9a-f]{8,64}$|v?\d+[a-z]{0,2}$")
_URL = re.compile(r"[a-z][a-z0-9+.\-]{1,20}://(?:[^\s/@\"']{0,200}@)?([A-Za-z0-9.\-]{1,253})")
_HOST = re.compile(
    r"(?<![\w.\-/@])((?:[a-z0-9\-]{1,63}\.){1,6}(?:com|net|org|io|dev|app|cloud|internal|corp|lan|local|de|eu|uk))(?![\w\-])"
)
_PACKAGE = re.compile(r"(?<![\w.])(?:com|net|io|de|eu)\.([a-z][a-z0-9_]{2,40})\.([a-z][a-z0-9_]{2,40})(?=\.)")
_EMAIL = re.compile(r"[A-Za-z0-9._%+\-]{1,64}@(?=[A-Za-z0-9\-]{1,63}\.)")
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w]|\.\d)")
_IPV6 = re.compile(
    r"(?<![\w:.])(?=[0-9a-f:]*::|(?:[0-9a-f]{1,4}:){5})[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}(?![\w:])", re.I
)
_TEXT_KEYS = re.compile(r'"(?:name|namespace|host|service|server|user|database|app)"\s*:\s*"([^"\s]{2,80})"')


def share(case: Case) -> Case:
    """The same trouble in a house that nobody can recognise."""
    names = _Names(_platform_words(case))
    for source in _sources(case):
        names.learn(source)
    names.settle()
    return Case(
        recorded_at=case.recorded_at,
        context=names.text(case.context),
        namespace=names.text(case.namespace),
        server_version=case.server_version,
        title=names.text(case.title),
        question=names.text(case.question),
        resources=tuple(replace(r, group=names.text(r.group), short=()) for r in case.resources),
        lists=tuple(_shared_list(entry, names) for entry in case.lists),
        absent=tuple(
            ref._replace(group=names.text(ref.group), namespace=names.text(ref.namespace), name=names.text(ref.name))
            for ref in case.absent
        ),
        logs=tuple(_shared_log(log, names) for log in case.logs),
        access=tuple(
            replace(row, group=names.text(row.group), namespace=names.text(row.namespace), name=names.text(row.name))
            for row in case.access
        ),
    )


class _Names:
    """Which words are someone's, and what each is called instead."""

    def __init__(self, everybodys: frozenset[str]) -> None:
        self._everybodys = everybodys
        self._words: set[str] = set()
        self._as: dict[str, str] = {}
        self._pattern: re.Pattern[str] | None = None
        self._octets: dict[tuple[str, ...], dict[str, str]] = {}
        self._addresses: dict[str, str] = {}
        self._values: dict[str, str] = {}

    def learn(self, name: str) -> None:
        """Take the words of a name that belong to somebody."""
        for part in _SPLIT.split(name):
            for word in _HUMP.split(part) if not part.isupper() else [part]:
                low = word.lower()
                if len(low) > 2 and low not in self._everybodys and not _RANDOM.match(low):
                    self._words.add(low)

    def settle(self) -> None:
        self._as = {word: f"n{number}" for number, word in enumerate(sorted(self._words), 1)}
        if not self._as:
            return
        longest_first = sorted(self._as, key=lambda word: (-len(word), word))
        lower = "|".join(longest_first)
        upper = "|".join(word.upper() for word in longest_first)
        title = "|".join(word.capitalize() for word in longest_first)
        self._pattern = re.compile(
            rf"(?<![A-Za-z0-9])(?:{lower})(?![a-z0-9])|(?<![A-Za-z0-9])(?:{upper})(?![A-Za-z0-9])"
            rf"|(?<![A-Z])(?:{title})(?![a-z])"
        )

    def text(self, text: str) -> str:
        """The text with every name, address and mailbox replaced."""
        if "@" in text:
            text = _EMAIL.sub("someone@", text)
        if "." in text:
            text = _IPV4.sub(lambda match: self._ipv4(match.group()), text)
        if ":" in text:
            text = _IPV6.sub(lambda match: self._ipv6(match.group()), text)
        return self._pattern.sub(self._renamed, text) if self._pattern else text

    def value(self, text: str) -> str:
        """A whole value of which nothing is known: replaced as a whole."""
        return self._values.setdefault(text, f"value-{len(self._values) + 1}")

    def _renamed(self, match: re.Match[str]) -> str:
        word = match.group()
        name = self._as[word.lower()]
        return name.upper() if word[0].isupper() else name

    def _ipv4(self, address: str) -> str:
        parts = address.split(".")
        if any(int(part) > 255 for part in parts) or parts[0] in ("0", "127", "255", "169"):
            return address
        kept = 2 if parts[:2] == ["192", "168"] else 1 if parts[0] in ("10", "172") else 0
        found = parts[:kept]
        for place in range(kept, 4):
            part = parts[place]
            known = self._octets.setdefault(tuple(parts[:place]), {"0": "0", "255": "255"})
            found.append(known.setdefault(part, str((len(known) - 1) % 254)))
        return ".".join(found)

    def _ipv6(self, address: str) -> str:
        if address in ("::", "::1"):
            return address
        return self._addresses.setdefault(address.lower(), f"fd00::{len(self._addresses) + 1:x}")


def _platform_words(case: Case) -> frozenset[str]:
    """Words that name nobody: the known ones, and those of the API's own fields and reasons in this case."""
    found: set[str] = set()
    for entry in case.lists:
        if (entry.group, entry.kind) in KNOWN:
            for item in entry.items:
                for field in _api_words(item, ""):
                    found.update(part.lower() for part in _HUMP.split(field))
    return kept_words() | found


def _api_words(value: Json, key: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, below in value.items():
            if key not in MAPS and name.isalnum():
                yield name
            if key not in MAPS and not name.startswith(("f:", "k:")):
                yield from _api_words(below, name)
    elif isinstance(value, list):
        for below in value:
            yield from _api_words(below, key)
    elif key == "reason" and isinstance(value, str) and value.isalnum():
        yield value


def _is_standard(key: str) -> bool:
    """Label and annotation keys of the platform, with its domain or with none."""
    return key in FIXED or key.partition("/")[0].endswith(STANDARD)


def _sources(case: Case) -> Iterator[str]:
    """Every string that holds names."""
    yield case.context
    yield case.namespace
    for resource in case.resources:
        yield resource.group
    for ref in case.absent:
        yield from (ref.namespace, ref.name)
    for entry in case.lists:
        yield entry.namespace
        for item in entry.items:
            metadata = item.get("metadata") or {}
            ours = metadata.get("namespace") not in SYSTEM or entry.kind in WORKLOADS
            if ours and not CONTROL_PLANE.match(str(metadata.get("name") or "")):
                yield from _names_in(item, "")
    for log in case.logs:
        yield from (log.namespace, log.pod, log.container)
        yield from _names_in_text(log.text)


def _names_in(value: Json, key: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, below in value.items():
            if key in MAPS and not _is_standard(name):
                yield name
            naming = key in ("labels", "matchLabels", "selector", "nodeSelector") and not name.startswith(tuple(FIXED))
            yield from _names_in(below, "name" if naming else name)
    elif isinstance(value, list):
        for below in value:
            yield from _names_in(below, key)
    elif isinstance(value, str) and key not in FIXED:
        if key in NAMING:
            yield value
        elif key in IMAGES:
            yield value.partition("@")[0].rpartition(":")[0] or value
        else:
            yield from _names_in_text(value)


def _names_in_text(text: str) -> Iterator[str]:
    """Names that free text gives away by their form: hosts, packages, fields of JSON logs."""
    for pattern in (_URL, _HOST, _TEXT_KEYS):
        for match in pattern.finditer(text):
            yield match.group(1)
    for match in _PACKAGE.finditer(text):
        if match.group(1) not in libraries():
            yield f"{match.group(1)}.{match.group(2)}"


def _shared_list(entry: RecordedList, names: _Names) -> RecordedList:
    return replace(
        entry,
        group=names.text(entry.group),
        namespace=names.text(entry.namespace),
        labels=names.text(entry.labels),
        fields=names.text(entry.fields),
        unread=_shared_reason(entry.unread, names),
        items=tuple(_shared_items(entry.items, names)),
    )


def _shared_items(items: Iterable[Mapping[str, Json]], names: _Names) -> Iterator[Mapping[str, Json]]:
    for item in items:
        yield _shared(item, "", names)


def _shared(value: Json, key: str, names: _Names) -> Json:
    if isinstance(value, Mapping):
        if key == "annotations":
            return {_key(name, names): _annotation(name, str(below), names) for name, below in value.items()}
        theirs = key in MAPS or key.startswith("f:") or ":" in key
        return {
            (_key(name, names) if theirs or ":" in name else name): _shared(below, name, names)
            for name, below in value.items()
        }
    if isinstance(value, list):
        return [_shared(below, key, names) for below in value]
    if isinstance(value, str) and key not in FIXED:
        return names.text(value)
    return value


def _key(name: str, names: _Names) -> str:
    return name if _is_standard(name) else names.text(name)


def _annotation(name: str, value: str, names: _Names) -> str:
    """Of annotations that are not the platform's, nothing is known: their values go as a whole."""
    return names.text(value) if _is_standard(name) else names.value(value)


def _shared_reason(reason: Reason | None, names: _Names) -> Reason | None:
    return replace(reason, message=names.text(reason.message)) if reason else None


def _shared_log(log: RecordedLog, names: _Names) -> RecordedLog:
    return replace(
        log,
        namespace=names.text(log.namespace),
        pod=names.text(log.pod),
        container=names.text(log.container),
        text=names.text(log.text),
        unread=_shared_reason(log.unread, names),
    )


__all__ = ["share"]
