"""kubectl's global flags, wherever they stand on the command line, and the question's own."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from kubectl_ai_intellect.errors import UsageError
from kubectl_ai_intellect.kube.config import Flags

GLOBAL: dict[str, str] = {
    "--kubeconfig": "kubeconfig", "--context": "context", "--cluster": "cluster", "--user": "user",
    "-n": "namespace", "--namespace": "namespace", "-s": "server", "--server": "server", "--token": "token",
    "--as": "as_user", "--as-uid": "as_uid", "--request-timeout": "request_timeout",
    "--certificate-authority": "certificate_authority", "--client-certificate": "client_certificate",
    "--client-key": "client_key", "--tls-server-name": "tls_server_name",
}  # fmt: skip
OWN: dict[str, str] = {
    "-o": "output",
    "--output": "output",
    "--timeout": "timeout",
    "--record": "record",
    "--from": "source",
    "--color": "color",
    "--fail-on": "fail_on",
    "--ignore": "ignore",
    "--model": "model",
    "--explain": "explain",
    "-l": "selector",
    "--selector": "selector",
    "-c": "container",
    "--container": "container",
    "--since": "since",
    "-f": "manifest",
    "--filename": "manifest",
}
SWITCHES: dict[str, str] = {
    "-v": "verbose",
    "--verbose": "verbose",
    "--continue": "resume",
    "--show-egress": "show_egress",
    "-h": "help",
    "--help": "help",
}
FORMS = ("text", "wide", "json", "yaml", "markdown", "html")


@dataclass(frozen=True, slots=True)
class Options:
    """A question's flags."""

    flags: Flags = field(default_factory=Flags)
    output: str = "text"
    timeout: str = ""
    record: str = ""
    source: str = ""
    color: str = "auto"
    fail_on: str = ""
    ignore: str = ""
    model: str = ""  # PROVIDER[:NAME]
    explain: str = "auto"
    show_egress: bool = False
    verbose: int = 0
    selector: str = ""
    container: str = ""
    since: str = ""
    manifest: str = ""
    resume: bool = False
    help: bool = False
    piped: bool = False  # a lone `-`: standard input will hold something
    words: tuple[str, ...] = ()
    forced: bool = False  # after `--`, the words are a question whatever they look like

    @property
    def lookback(self) -> timedelta | None:
        return duration(self.since, "--since") if self.since else None

    @property
    def seconds(self) -> float | None:
        return duration(self.timeout, "--timeout").total_seconds() if self.timeout else None


def parse(arguments: Sequence[str]) -> Options:
    """Take the flags out of the words; what is left is a command or a question."""
    flags: dict[str, Any] = {}
    own: dict[str, Any] = {}
    words: list[str] = []
    forced = False
    rest = list(arguments)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if word == "--":
            forced = not words
            words += rest
            break
        if word == "-":
            own["piped"] = True
        elif word in ("-A", "--all-namespaces"):
            flags["all_namespaces"] = True
        elif name == "--insecure-skip-tls-verify":
            flags["insecure_skip_tls_verify"] = value != "false"
        elif name in SWITCHES or re.fullmatch(r"-v{2,}", word):
            _switch(own, SWITCHES.get(name, "verbose"), word, value)
        elif name == "--as-group":
            flags["as_groups"] = (*flags.get("as_groups", ()), value if equals else _next(word, rest))
        elif name in GLOBAL or name in OWN:
            table, into = (GLOBAL, flags) if name in GLOBAL else (OWN, own)
            into[table[name]] = value if equals else _next(word, rest)
        elif re.match(r"^-[noslcf][^-=\s].*", word):  # -nshop, -ojson
            table, into = (GLOBAL, flags) if word[:2] in GLOBAL else (OWN, own)
            into[table[word[:2]]] = word[2:].removeprefix("=")
        elif word.startswith("-") and len(word) > 1 and not re.match(r"^-\d", word):
            raise UsageError(f"unknown flag {word}{_hint(name)}; see `kubectl intellect --help`")
        else:
            words.append(word)
    return _checked(Options(flags=Flags(**flags), words=tuple(words), forced=forced, **own))


def _switch(own: dict[str, Any], name: str, word: str, value: str) -> None:
    if name == "verbose":
        own[name] = (
            int(value) if value.isdigit() else own.get(name, 0) + (word.count("v") if not word.startswith("--") else 1)
        )
    else:
        own[name] = True


def _next(word: str, rest: list[str]) -> str:
    if not rest:
        raise UsageError(f"{word} needs a value; see `kubectl intellect --help`")
    return rest.pop(0)


def _hint(name: str) -> str:
    import difflib

    near = difflib.get_close_matches(name, [*GLOBAL, *OWN, *SWITCHES, "--all-namespaces"], n=1)
    return f" (did you mean {near[0]}?)" if near else ""


def _checked(options: Options) -> Options:
    form = {"md": "markdown", "yml": "yaml"}.get(options.output, options.output)
    if form not in FORMS:
        raise UsageError(f"-o {options.output} is not a form of output; take one of {', '.join(FORMS)}")
    if options.color not in ("auto", "always", "never"):
        raise UsageError(f"--color {options.color} is not known; take auto, always or never")
    if options.fail_on and options.fail_on not in ("critical", "high", "medium", "low"):
        raise UsageError(f"--fail-on {options.fail_on} is not a severity; take critical, high, medium or low")
    if options.explain not in ("on", "off", "auto"):
        raise UsageError(f"--explain {options.explain} is not known; take on, off or auto")
    if options.timeout:
        duration(options.timeout, "--timeout")
    if options.since:
        duration(options.since, "--since")
    if options.selector:
        _must_select(options.selector)
    return replace(options, output=form)


def colored(options: Options) -> bool:
    """Whether standard output is to be coloured."""
    allowed = options.color == "auto" and sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return options.color == "always" or allowed


def _must_select(text: str) -> None:
    from kubectl_ai_intellect.state.selectors import parsed

    try:
        parsed(text)
    except ValueError as problem:
        raise UsageError(
            f'-l {text}: "{problem}" is not a label requirement; write it like app=web or tier in (a,b)'
        ) from problem


def duration(text: str, flag: str) -> timedelta:
    """A duration as kubectl writes it: 30s, 5m, 1h30m, or plain seconds."""
    units = {"d": 86400, "h": 3600, "m": 60, "s": 1, "ms": 0.001}
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[dhms])", text)
    if text.isdigit():
        return timedelta(seconds=int(text))
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise UsageError(f"{flag} {text} is not a duration; write it like 30s, 5m or 2h")
    return timedelta(seconds=sum(float(number) * units[unit] for number, unit in parts))


__all__ = ["FORMS", "Options", "colored", "duration", "parse"]
