"""What came through the pipe: kubectl's own output, an Alertmanager payload, a log. Text from outside, never an order.

It says what the question is about (names, a namespace) and what was already seen (lines of a log); both are only
looked up in the cluster and in the runbooks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_ai_intellect.evidence.logs import digest
from kubectl_ai_intellect.evidence.redact import redact
from kubectl_ai_intellect.kube.refs import KNOWN, Ref, group_of, named

NAMES = 12
"""How many names of a long text are tried."""


@dataclass(frozen=True, slots=True)
class Pasted:
    """The objects a text names, the likeliest first; the namespace it speaks of; the lines that say what failed."""

    refs: tuple[Ref, ...] = ()
    namespace: str = ""
    lines: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.refs or self.namespace or self.lines)

    @property
    def names(self) -> tuple[str, ...]:
        """The names as such; a pod's also without its hashes, for the pod may be gone and its workload not."""
        found: list[str] = []
        for each in self.refs:
            found += [each.name, *_owners(each)]
        return tuple(dict.fromkeys(found))

    @property
    def single(self) -> bool:
        """Whether all names are of one thing: an object, or the pods of one workload."""
        return len({(_owners(each) or [each.name])[0] for each in self.refs}) == 1


def read_pasted(text: str) -> Pasted:
    """Take a text for what it is: JSON, manifests, a description, a table, else a log."""
    for reader in (_json, _manifests, _description, _table, _mentions):
        refs = list(dict.fromkeys(reader(text)))[:NAMES]
        if refs:
            break
    else:
        refs = []
    spaces = [each.namespace for each in refs if each.namespace]
    log = digest([text.encode()]) if not refs or _is_log(text) else None
    hits = [f"{hit.kind}: {redact(hit.line)}" for hit in log.hits[:3]] if log else []
    hits = hits or (_plain(text) if log else [])
    return Pasted(tuple(refs), max(spaces, key=spaces.count) if spaces else "", tuple(hits))


def _is_log(text: str) -> bool:
    return not re.search(r"^(Name|apiVersion|NAME|NAMESPACE|LAST SEEN)\b", text, re.MULTILINE) and text[:1] not in "{["


# -- JSON: alerts and objects ----------------------------------------------------------------------------------------


def _json(text: str) -> Iterator[Ref]:
    if text.lstrip()[:1] not in ("{", "["):
        return
    try:
        document = json.loads(text)
    except ValueError:
        return
    for each in _alerts(document):
        yield from _labelled(each)
    for each in _objects(document):
        yield each


def _alerts(document: Any) -> Iterator[Mapping[str, Any]]:
    """Alertmanager's webhook payload, its API's list, or Prometheus' own; those that fire first."""
    alerts = document.get("alerts") if isinstance(document, dict) else document
    if isinstance(alerts, dict):
        alerts = alerts.get("alerts")
    if isinstance(document, dict) and isinstance(document.get("data"), dict):
        alerts = document["data"].get("alerts")
    entries: list[dict[str, Any]] = (
        [each for each in alerts if isinstance(each, dict)] if isinstance(alerts, list) else []
    )
    yield from sorted(entries, key=lambda each: str(each.get("status", each.get("state"))) == "resolved")


_LABELS = (
    ("pod", "Pod"),
    ("deployment", "Deployment"),
    ("statefulset", "StatefulSet"),
    ("daemonset", "DaemonSet"),
    ("job_name", "Job"),
    ("cronjob", "CronJob"),
    ("persistentvolumeclaim", "PersistentVolumeClaim"),
    ("horizontalpodautoscaler", "HorizontalPodAutoscaler"),
    ("ingress", "Ingress"),
    ("service", "Service"),
    ("node", "Node"),
)
"""The labels by which kube-state-metrics and the kubelet's metrics name an object, the most telling first."""


def _labelled(alert: Mapping[str, Any]) -> Iterator[Ref]:
    labels = alert.get("labels")
    if not isinstance(labels, dict):
        return
    namespace = str(labels.get("exported_namespace") or labels.get("namespace") or "")
    found = False
    for label, kind in _LABELS:
        value = str(labels.get(f"exported_{label}") or labels.get(label) or "")
        if value and "kube-state-metrics" not in value:
            found = True
            yield _ref(kind, namespace, value)
    if not found and namespace:
        yield _ref("Namespace", "", namespace)


def _objects(document: Any) -> Iterator[Ref]:
    if not isinstance(document, dict):
        return
    if isinstance(document.get("items"), list):
        for each in document["items"]:
            yield from _objects(each)
        return
    meta, kind = document.get("metadata"), document.get("kind")
    if isinstance(meta, dict) and isinstance(kind, str) and meta.get("name"):
        group = group_of(str(document.get("apiVersion") or ""))
        about = document.get("involvedObject") or document.get("regarding")
        if kind == "Event" and isinstance(about, dict):
            yield _ref(str(about.get("kind") or "Pod"), str(about.get("namespace") or ""), str(about.get("name") or ""))
        else:
            yield Ref(group, kind, str(meta.get("namespace") or ""), str(meta["name"]))


def _manifests(text: str) -> Iterator[Ref]:
    if not re.search(r"^apiVersion:", text, re.MULTILINE) or not re.search(r"^kind:", text, re.MULTILINE):
        return
    import yaml

    try:
        for document in yaml.safe_load_all(text):
            yield from _objects(document)
    except yaml.YAMLError:
        return


# -- kubectl's output ------------------------------------------------------------------------------------------------

_FEATURES = (
    ("Pod", r"^Containers:"),
    ("Deployment", r"^StrategyType:"),
    ("CronJob", r"^Concurrency Policy:"),
    ("Job", r"^Pods Statuses:[\s\S]*?Completed|^Completion Mode:"),
    ("StatefulSet", r"^Volume Claims:"),
    ("DaemonSet", r"^Desired Number of Nodes"),
    ("ReplicaSet", r"^Controlled By:\s+Deployment/"),
    ("Node", r"^Allocatable:"),
    ("PersistentVolumeClaim", r"^Used By:"),
    ("PersistentVolume", r"^Reclaim Policy:"),
    ("Ingress", r"^Ingress Class:"),
    ("HorizontalPodAutoscaler", r"^Min replicas:"),
    ("Service", r"^Endpoints:"),
)
"""A line that only the description of this kind has; workloads show containers too, indented under their template."""


def _description(text: str) -> Iterator[Ref]:
    """`kubectl describe`: names at the beginning of a line, several objects one after the other."""
    for part in re.split(r"^(?=Name:\s)", text, flags=re.MULTILINE):
        name = re.match(r"Name:[ \t]+(\S+)", part)
        if name:
            space = re.search(r"^Namespace:[ \t]+(\S+)", part, re.MULTILINE)
            kind = next((kind for kind, line in _FEATURES if re.search(line, part, re.MULTILINE)), "Pod")
            yield _ref(kind, space[1] if space and space[1] != "<none>" else "", name[1])


_WELL = re.compile(r"^(Running|Completed|Succeeded|Bound|Ready|Active)$")


def _table(text: str) -> Iterator[Ref]:
    """`kubectl get pods` or `get events`: the rows that look ill; all where none does."""
    lines = text.splitlines()
    start = next((n for n, line in enumerate(lines) if re.match(r"(NAMESPACE\s+)?(NAME|LAST SEEN)\s", line)), None)
    if start is None:
        return
    heads = re.split(r"\s{2,}|\s(?=[A-Z])", lines[start].strip().replace("LAST SEEN", "LAST_SEEN"))
    rows = [dict(zip(heads, line.split(), strict=False)) for line in lines[start + 1 :] if line.strip()]
    ill = [row for row in rows if _looks_ill(row)] or rows
    for row in ill:
        kind, _, name = row.get("OBJECT", row.get("NAME", "")).rpartition("/")
        known = named(kind) if kind else None
        if name:
            yield _ref(known.kind if known else _kind_of(heads), row.get("NAMESPACE", ""), name)


def _looks_ill(row: Mapping[str, str]) -> bool:
    if row.get("TYPE") == "Warning":
        return True
    ready, _, wanted = row.get("READY", "").partition("/")
    status = row.get("STATUS", "Running")
    return bool(wanted and ready != wanted and status != "Completed") or not _WELL.match(status)


def _kind_of(heads: Iterable[str]) -> str:
    columns = set(heads)
    if "UP-TO-DATE" in columns:
        return "DaemonSet" if "DESIRED" in columns else "Deployment"
    if "COMPLETIONS" in columns:
        return "Job"
    if "STORAGECLASS" in columns:
        return "PersistentVolumeClaim" if "VOLUME" in columns else "PersistentVolume"
    if "CLUSTER-IP" in columns:
        return "Service"
    return "Node" if "ROLES" in columns else "Pod"


_MENTION = re.compile(r"\b([a-z]{2,}(?:\.[a-z.]+)?)/([a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)\b", re.IGNORECASE)
_KEYED = re.compile(
    r"\b(?:(namespace|ns)|(pod|deployment|node|service))(?:_name)?[\"']?\s*[=:]\s*[\"']?([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)\b",
    re.IGNORECASE,
)


_REFUSED = re.compile(r"(?i)\b([a-z]{3,40})(?:\.[a-z0-9.]{1,60})? \\?[\"']([a-z0-9][a-z0-9.-]*)\\?[\"'] is invalid")
"""The API server's words for an object that it does not take."""
_SAYS_NO = re.compile(r"(?i)\b(?:is invalid|immutable|error|refused|denied|forbidden|fail(?:ed|s)?)\b")


def _plain(text: str) -> list[str]:
    """The lines of a text that speak of a failure, where none is a log's."""
    return [redact(line.strip())[:300] for line in text[:200_000].splitlines() if _SAYS_NO.search(line)][:3]


def _mentions(text: str) -> Iterator[Ref]:
    """`The KIND "NAME" is invalid`, KIND/NAME anywhere, or `pod=…` and `namespace=…` as loggers write them."""
    refused = [(named(kind), name) for kind, name in _REFUSED.findall(text[:200_000])]
    yield from (_ref(known.kind, "", name) for known, name in refused if known is not None)
    if refused:
        return
    keyed = list(_KEYED.finditer(text[:200_000]))
    space = next((each[3] for each in keyed if each[1]), "")
    for kind, name in _MENTION.findall(text[:200_000]):
        known = named(kind)
        if known is not None and len(kind) > 2:
            yield _ref(known.kind, space, name)
    for each in keyed:
        if each[2]:
            yield _ref(each[2].capitalize(), space, each[3])
    if space:
        yield _ref("Namespace", "", space)


def _ref(kind: str, namespace: str, name: str) -> Ref:
    known = next((each for each in KNOWN.values() if each.kind == kind and each.group != "metrics.k8s.io"), None)
    group = known.group if known else ""
    return Ref(group, kind, namespace if known is None or known.namespaced else "", name)


_HASHES = re.compile(r"^(.+?)-(?:[a-f0-9]{5,10}|[bcdfghjklmnpqrstvwxz2456789]{8,10})-[bcdfghjklmnpqrstvwxz2456789]{5}$")
_HASH = re.compile(r"^(.+?)-(?:[bcdfghjklmnpqrstvwxz2456789]{5}|\d+)$")


def _owners(of: Ref) -> list[str]:
    if of.kind != "Pod":
        return []
    found = _HASHES.match(of.name) or _HASH.match(of.name)
    return [found[1]] if found else []


__all__ = ["Pasted", "read_pasted"]
