"""The command line as the Tab key knows it: commands, their actions, arguments and flags.

A slot says what a value is: `namespace`, `context`, `runbook` …, `file`, `directory`, or `=a,b,c` for these words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

FORMS = "=text,wide,json,yaml,markdown,html"
TABLES = "=text,json,yaml"

Slots = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Action:
    """One command or action: what it is for, its words' slots, its flags' slots ("" for a flag without a value)."""

    says: str
    words: tuple[str, ...] = ()
    flags: Slots = field(default_factory=dict[str, str])
    asks: bool = False
    """Whether it takes a question's flags as well."""


GLOBAL: Slots = {
    "--kubeconfig": "file", "--context": "context", "--cluster": "cluster", "--user": "user",
    "-n": "namespace", "--namespace": "namespace", "-s": "none", "--server": "none", "--token": "none",
    "--as": "none", "--as-group": "none", "--as-uid": "none", "--request-timeout": "=5s,10s,30s,1m",
    "--certificate-authority": "file", "--client-certificate": "file", "--client-key": "file",
    "--tls-server-name": "none", "--insecure-skip-tls-verify": "",
}  # fmt: skip
"""kubectl's own flags."""

ASKING: Slots = {
    **GLOBAL,
    "-A": "", "--all-namespaces": "", "-o": FORMS, "--output": FORMS, "-v": "", "--verbose": "",
    "--timeout": "=10s,30s,1m,2m", "--record": "file", "--from": "file", "--color": "=auto,always,never",
    "--since": "=10m,1h,6h,1d", "--fail-on": "=critical,high,medium,low", "--ignore": "file", "--model": "wish", "--explain": "=auto,on,off",
    "-f": "file", "--filename": "file", "--continue": "", "-h": "", "--help": "",
}  # fmt: skip
"""What the values of a question's flags are; the command line says which flags there are."""

COMMANDS: Mapping[str, Action] = {
    "scan": Action("every root cause in a namespace or the cluster", asks=True),
    "demo": Action("diagnose a recorded incident", ("demo",), asks=True),
    "doctor": Action("check what answers need", (), {"--role": "", "-o": TABLES, "--output": TABLES}, asks=True),
    "version": Action("print the version"),
}

_EMBEDDER: Slots = {"--embedder": "=lexical,sentence-transformers"}
_HELP: Slots = {"--help": ""}

GROUPS: Mapping[str, tuple[str, Mapping[str, Action]]] = {
    "case": ("show, ask, replay or share a recorded incident", {
        "show": Action("what is in a case", ("file",), _HELP),
        "ask": Action("ask a case a question", ("file", "none"), {**_HELP, "-o": FORMS, "--output": FORMS}),
        "replay": Action("ask it the question it came with", ("file",), {**_HELP, "-o": FORMS, "--output": FORMS}),
        "share": Action("replace names before it leaves the house", ("file",), {**_HELP, "--into": "file"}),
    }),
    "runbook": ("search and manage runbooks and your own documents", {
        "add": Action("add a document or directory", ("file",), {**_HELP, **_EMBEDDER}),
        "list": Action("list your documents and our runbooks", (), {**_HELP, "-o": TABLES, "--output": TABLES}),
        "show": Action("show a runbook", ("runbook",), _HELP),
        "search": Action("find the runbooks that fit a text", ("none",),
                         {**_HELP, **_EMBEDDER, "-o": TABLES, "--output": TABLES, "-k": "=1,3,5,10",
                          "--limit": "=1,3,5,10"}),
        "index": Action("bring the search index up to date", (), {**_HELP, **_EMBEDDER, "--rebuild": ""}),
        "check": Action("check runbooks for faults", ("file",), _HELP),
        "remove": Action("forget a document of yours", ("document",), _HELP),
    }),
    "model": ("list, pull, import, verify, use or remove local models", {
        "list": Action("list known and installed models", (), {**_HELP, "-o": "=text,json", "--output": "=text,json"}),
        "pull": Action("fetch a model", ("known-model",), {**_HELP, "--mirror": "none"}),
        "import": Action("take over a model file", ("model-file",), {**_HELP, "--name": "none", "--sha256": "none"}),
        "verify": Action("read a model again and compare", ("model",), _HELP),
        "use": Action("make a model the one that is asked", ("wish",), _HELP),
        "remove": Action("delete a model's file", ("model",), _HELP),
        "bench": Action("measure a model on this machine", ("model",), _HELP),
    }),
    "config": ("show or set the configuration", {
        "show": Action("every setting as it is in effect", (), {**_HELP, "-o": "=text,json", "--output": "=text,json"}),
        "set": Action("change one setting", ("setting", "none"), _HELP),
    }),
    "bundle": ("carry everything to a machine without a network", {
        "create": Action("collect everything in a directory", ("directory",),
                         {**_HELP, "--model": "model", "--archive": "file", "--manifest": "file", "--sign-key": "file",
                          "--no-plugin": ""}),
        "install": Action("verify and install such a directory", ("directory",),
                          {**_HELP, "--verify-key": "file", "--bin": "directory"}),
    }),
    "completion": ("what the Tab key completes", {
        "bash": Action("for bash", (), _HELP),
        "zsh": Action("for zsh", (), _HELP),
        "fish": Action("for fish", (), _HELP),
        "install": Action("put kubectl_complete-intellect on PATH", (), {**_HELP, "--bin": "directory"}),
    }),
}  # fmt: skip

SETTINGS: tuple[str, ...] = (
    "model.provider",
    "model.name",
    "model.base_url",
    "model.key_file",
    "model.explain",
    "model.timeout",
    "model.retries",
    "model.requests_per_minute",
    "model.concurrency",
    "model.context",
    "model.threads",
    "model.mirror",
    "model.cache_days",
    "model.price.input",
    "model.price.cached",
    "model.price.output",
    "output.color",
    "knowledge.embedder",
    "cluster.timeout",
)
"""Every setting's dotted name: importing the settings would take longer than all the rest."""

__all__ = ["ASKING", "COMMANDS", "FORMS", "GLOBAL", "GROUPS", "SETTINGS", "Action", "Slots"]
