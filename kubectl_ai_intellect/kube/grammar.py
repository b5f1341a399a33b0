"""What a diagnostic command may say: the verbs, the flags of each, and what their values look like.

Everything is an allow-list. The lists of what is refused below exist only to say why.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._:\-]{0,251}[A-Za-z0-9])?\Z")
NAMESPACE = re.compile(r"[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?\Z")
RESOURCE = re.compile(r"[A-Za-z][A-Za-z0-9\-]{0,62}(?:\.[A-Za-z0-9][A-Za-z0-9.\-]{0,180})?\Z")
SELECTOR = re.compile(r"[A-Za-z0-9!][A-Za-z0-9._/=!,() \-]{0,500}\Z")
FIELDS = re.compile(r"[A-Za-z][A-Za-z0-9._/=!,:\-]{0,500}\Z")
OUTPUT = re.compile(r"name\Z|wide\Z|json\Z|yaml\Z")
PATHS = re.compile(r"(?:jsonpath|custom-columns)=[A-Za-z0-9 ._\-\[\]{}()@*,:/\"'=!?&<>\\]{1,500}\Z")
JSON_PATH = re.compile(r"[A-Za-z0-9._\-\[\]{}/]{1,200}\Z")
NUMBER = re.compile(r"-?[0-9]{1,9}\Z")
SPAN = re.compile(r"(?:[0-9]{1,6}(?:ms|s|m|h))+\Z")
MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{5,18}(?:Z|[+\-][0-9:]{4,6})\Z")
TARGET = re.compile(r"[A-Za-z][A-Za-z0-9.\-]{0,100}/[A-Za-z0-9][A-Za-z0-9._:\-]{0,252}\Z")
WORDS = re.compile(r"[A-Za-z][A-Za-z0-9,._/\-]{0,200}\Z")
FIELD_PATH = re.compile(r"[A-Za-z][A-Za-z0-9.\-]{0,250}\Z")
VERB = re.compile(r"(?:[a-z]{2,20}|\*)\Z")
FILE = re.compile(r"(?!-)(?!.*://)[A-Za-z0-9._/\- ]{1,400}\Z")
BOOLEAN = re.compile(r"(?:true|false)\Z")


@dataclass(frozen=True, slots=True)
class Flag:
    """One flag: its long name, its letter, and its value's form (none: it is a switch)."""

    name: str
    letter: str = ""
    value: re.Pattern[str] | None = None


NAMESPACE_FLAG = Flag("namespace", "n", NAMESPACE)
ALL = Flag("all-namespaces", "A")
LABELS = Flag("selector", "l", SELECTOR)
NO_HEADERS = Flag("no-headers")
OUTPUT_FLAG = Flag("output", "o", re.compile(f"{OUTPUT.pattern}|{PATHS.pattern}"))
PLAIN_OUTPUT = Flag("output", "o", OUTPUT)
SORT = Flag("sort-by", "", JSON_PATH)

_GET = (
    NAMESPACE_FLAG,
    ALL,
    LABELS,
    NO_HEADERS,
    OUTPUT_FLAG,
    SORT,
    Flag("field-selector", "", FIELDS),
    Flag("show-labels"),
    Flag("show-kind"),
    Flag("show-managed-fields"),
    Flag("ignore-not-found"),
    Flag("label-columns", "L", WORDS),
    Flag("chunk-size", "", NUMBER),
    Flag("subresource", "", re.compile(r"(?:status|scale)\Z")),
)
_LOGS = (
    NAMESPACE_FLAG,
    LABELS,
    Flag("container", "c", NAME),
    Flag("all-containers"),
    Flag("all-pods"),
    Flag("previous", "p"),
    Flag("timestamps"),
    Flag("prefix"),
    Flag("tail", "", NUMBER),
    Flag("since", "", SPAN),
    Flag("since-time", "", MOMENT),
    Flag("limit-bytes", "", NUMBER),
    Flag("max-log-requests", "", NUMBER),
    Flag("ignore-errors"),
)

VERBS: dict[str, tuple[Flag, ...]] = {
    "get": _GET,
    "describe": (NAMESPACE_FLAG, ALL, LABELS, Flag("show-events"), Flag("chunk-size", "", NUMBER)),
    "logs": _LOGS,
    "events": (NAMESPACE_FLAG, ALL, NO_HEADERS, PLAIN_OUTPUT, Flag("for", "", TARGET), Flag("types", "", WORDS)),
    "top": (
        NAMESPACE_FLAG,
        ALL,
        LABELS,
        NO_HEADERS,
        Flag("containers"),
        Flag("sum"),
        Flag("sort-by", "", re.compile(r"(?:cpu|memory)\Z")),
        Flag("field-selector", "", FIELDS),
    ),
    "explain": (Flag("recursive"), Flag("api-version", "", WORDS)),
    "api-resources": (
        NO_HEADERS,
        PLAIN_OUTPUT,
        Flag("namespaced"),
        Flag("api-group", "", WORDS),
        Flag("verbs", "", WORDS),
        Flag("sort-by", "", re.compile(r"(?:name|kind)\Z")),
    ),
    "version": (PLAIN_OUTPUT, Flag("client")),
    "cluster-info": (),
    "auth can-i": (NAMESPACE_FLAG, ALL, NO_HEADERS, Flag("list"), Flag("quiet", "q"), Flag("subresource", "", WORDS)),
    "rollout status": (NAMESPACE_FLAG, LABELS, Flag("watch", "w"), Flag("timeout", "", SPAN)),
    "rollout history": (NAMESPACE_FLAG, LABELS, PLAIN_OUTPUT, Flag("revision", "", NUMBER)),
    "diff": (NAMESPACE_FLAG, LABELS, Flag("filename", "f", FILE), Flag("recursive", "R"), Flag("server-side")),
}
"""Every command that only looks."""

TWO_WORDS = frozenset(verb.partition(" ")[0] for verb in VERBS if " " in verb)

ALIASES = {"log": "logs", "event": "events"}

IDENTITY = frozenset(
    {
        "server",
        "kubeconfig",
        "context",
        "cluster",
        "user",
        "token",
        "username",
        "password",
        "tls-server-name",
        "kuberc",
        "cache-dir",
        "proxy-url",
        "profile",
        "profile-output",
    }
)
IDENTITY_PREFIXES = ("as", "insecure", "certificate", "client-", "disable-compression")
IDENTITY_LETTERS = frozenset({"s"})
ENDLESS = frozenset({"watch", "watch-only", "follow"})
FILES = frozenset({"filename", "kustomize", "output-directory", "template", "output-watch-events", "raw"})

CHANGING = frozenset(
    [
        "annotate",
        "apply",
        "attach",
        "auth-reconcile",
        "autoscale",
        "certificate",
        "config",
        "cordon",
        "cp",
        "create",
        "debug",
        "delete",
        "drain",
        "edit",
        "exec",
        "expose",
        "kustomize",
        "label",
        "patch",
        "plugin",
        "port-forward",
        "proxy",
        "replace",
        "rolling-update",
        "rollout",
        "run",
        "scale",
        "set",
        "taint",
        "uncordon",
        "wait",
        "alpha",
        "completion",
        "convert",
        "options",
    ]
)

__all__ = [
    "ALIASES",
    "BOOLEAN",
    "CHANGING",
    "ENDLESS",
    "FIELD_PATH",
    "FILES",
    "IDENTITY",
    "IDENTITY_LETTERS",
    "IDENTITY_PREFIXES",
    "NAME",
    "NAMESPACE",
    "RESOURCE",
    "TARGET",
    "TWO_WORDS",
    "VERB",
    "VERBS",
    "Flag",
]
