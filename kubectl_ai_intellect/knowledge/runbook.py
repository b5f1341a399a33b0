"""The runbook format: reading one, and saying with line numbers what is wrong with it.

A runbook is Markdown with a YAML front matter (see runbooks/README.md). Its text is data: it is shown,
searched and cited, and its checks are run only when they are within the read grammar; nothing in it is ever
obeyed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubectl_ai_intellect.errors import IntellectError

SECTIONS = ("What happens", "Confirm it", "Fix it", "Prevent it")
REQUIRED = ("id", "title", "symptoms", "checks", "fixes")
GUIDE = "guide/"
MAX_BYTES = 256 * 1024
_ID = re.compile(r"[a-z0-9][a-z0-9-]*/[a-z0-9][a-z0-9-]*\Z")
_PLAIN_ID = re.compile(r"[a-z0-9][a-z0-9-]*\Z")  # `other`, and nothing else of ours, has no area
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Check:
    """A read-only command and what one sees when this is the cause."""

    command: str
    expect: str


@dataclass(frozen=True, slots=True)
class Fix:
    title: str
    command: str = ""
    yaml: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One heading of the second level and the Markdown beneath it."""

    title: str
    text: str
    line: int = 0


@dataclass(frozen=True, slots=True)
class Runbook:
    id: str
    title: str
    symptoms: tuple[str, ...]
    checks: tuple[Check, ...]
    fixes: tuple[Fix, ...]
    sections: tuple[Section, ...]
    body: str
    path: Path | None = None
    ours: bool = True

    def section(self, title: str) -> str:
        """The text of one section, empty when there is none."""
        return next((section.text for section in self.sections if section.title == title), "")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a file, where it is, and what would mend it; not every one spoils the file."""

    line: int
    message: str
    spoils: bool = True


class RunbookError(IntellectError):
    """A file that is not a runbook; the message is its first fault."""

    def __init__(self, path: Path | None, faults: list[Fault]):
        faults = [fault for fault in faults if fault.spoils]
        self.faults = faults
        where = f"{path or 'runbook'}:{faults[0].line}"
        more = f" (and {len(faults) - 1} more)" if len(faults) > 1 else ""
        super().__init__(f"{where}: {faults[0].message}{more}")


def clean(text: str) -> str:
    """Text without control characters and without marks that reorder or hide what is read."""
    return _CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def looks_like_runbook(text: str) -> bool:
    """Whether the file means to be one: a front matter with an id and symptoms or checks."""
    head, found = _front(clean(text).lstrip("\ufeff").split("\n"))
    keys = {line.split(":", 1)[0] for line in head if ":" in line}
    return found and "id" in keys and bool(keys & {"symptoms", "checks", "fixes"})


def parse(text: str, path: Path | None = None, *, ours: bool = True) -> Runbook:
    """The runbook; RunbookError names the line of its first fault."""
    runbook, faults = examine(text, path, ours=ours)
    if runbook is None:
        raise RunbookError(path, faults)
    return runbook


def load(path: Path, *, ours: bool = True) -> Runbook:
    """The runbook of a file."""
    return parse(read_text(path), path, ours=ours)


def read_text(path: Path) -> str:
    """A file as text, within a size a person could have written."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise IntellectError(f"{path}: cannot be read ({error.strerror})") from error
    if len(data) > MAX_BYTES:
        raise IntellectError(f"{path}: larger than {MAX_BYTES // 1024} KiB; split it")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise IntellectError(f"{path}: not UTF-8 text (byte {error.start}); save it as UTF-8") from error


def examine(text: str, path: Path | None = None, *, ours: bool = True) -> tuple[Runbook | None, list[Fault]]:
    """The runbook, when it can be used, and all faults: those that spoil it (then None) and lesser ones."""
    lines = clean(text).lstrip("\ufeff").split("\n")
    head, found = _front(lines)
    if not found:
        return None, [Fault(1, "no front matter: begin the file with a line '---', YAML, and a line '---'")]
    values, marks, faults = _read_yaml("\n".join(head))
    if values is None:
        return None, faults
    body_at = len(head) + 2
    sections = _sections(lines[body_at:], body_at + 1)
    reader = _Reader(values, marks)
    runbook = Runbook(
        id=reader.identity(),
        title=reader.line("title", limit=100),
        symptoms=reader.phrases("symptoms"),
        checks=reader.checks(),
        fixes=reader.fixes(),
        sections=sections,
        body="\n".join(lines[body_at:]).strip(),
        path=path,
        ours=ours,
    )
    reader.unknown_keys()
    faults = [*reader.faults, *_body_faults(runbook, body_at + 1)]
    spoilt = any(fault.spoils for fault in faults)
    return (None if spoilt else runbook), sorted(faults, key=lambda fault: fault.line)


def _front(lines: list[str]) -> tuple[list[str], bool]:
    if not lines or lines[0].rstrip() != "---":
        return [], False
    for number, line in enumerate(lines[1:], start=1):
        if line.rstrip() == "---":
            return lines[1:number], True
    return [], False


def _read_yaml(head: str) -> tuple[dict[str, Any] | None, dict[str, int], list[Fault]]:
    """The front matter's values and the line of every key path in it (`checks.0.command`)."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        node = yaml.compose(head, Loader=loader)
        values = yaml.load(head, Loader=loader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        problem = getattr(error, "problem", None) or "not YAML"
        message = f"front matter: {problem} (quote values that contain ': ' or begin with a special character)"
        return None, {}, [Fault((mark.line if mark else 0) + 2, message)]
    if not isinstance(values, dict):
        return None, {}, [Fault(2, "front matter must be keys and values, such as 'id: area/name'")]
    marks: dict[str, int] = {}
    _mark(node, "", marks)
    return values, marks, []


def _mark(node: Any, prefix: str, marks: dict[str, int]) -> None:
    import yaml

    marks[prefix] = node.start_mark.line + 2
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = f"{prefix}.{key.value}" if prefix else str(key.value)
            _mark(value, place, marks)
            marks[place] = key.start_mark.line + 2
    elif isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            _mark(item, f"{prefix}.{index}", marks)


class _Reader:
    """Reads the front matter's fields and collects what is wrong with them."""

    def __init__(self, values: dict[str, Any], marks: dict[str, int]):
        self.values = values
        self.marks = marks
        self.faults: list[Fault] = []
        self.guide = str(values.get("id", "")).startswith(GUIDE)

    def fault(self, place: str, message: str, *, spoils: bool = True) -> None:
        while place and place not in self.marks:
            place = place.rpartition(".")[0]
        self.faults.append(Fault(self.marks.get(place, 1), message, spoils))

    def identity(self) -> str:
        value = self.values.get("id")
        if not isinstance(value, str) or not (_ID.match(value) or _PLAIN_ID.match(value)):
            self.fault("id", "id must be '<area>/<name>' in small letters, digits and hyphens")
            return ""
        return value

    def line(self, key: str, limit: int) -> str:
        value = self.values.get(key)
        if not isinstance(value, str) or not value.strip():
            self.fault(key, f"{key} is missing: one line of text")
            return ""
        if len(value) > limit or "\n" in value.strip():
            self.fault(key, f"{key} must be one line of at most {limit} characters")
        return value.strip()

    def phrases(self, key: str) -> tuple[str, ...]:
        value = self.values.get(key)
        if not isinstance(value, list) or len(value) < 2:
            self.fault(key, f"{key} must be a list of at least two phrases")
            return ()
        for index, item in enumerate(value):
            if not isinstance(item, str) or not item.strip():
                self.fault(f"{key}.{index}", f"{key}: each item must be text (put it in quotes)")
        return tuple(" ".join(item.split()) for item in value if isinstance(item, str))

    def entries(self, key: str) -> list[tuple[str, dict[str, Any]]]:
        """The mappings of a list field, each with its place."""
        value = self.values.get(key)
        if value is None and self.guide:
            return []
        if not isinstance(value, list) or not (value or self.guide):
            self.fault(key, f"{key} must be a list with at least one entry")
            return []
        found: list[tuple[str, dict[str, Any]]] = []
        for index, item in enumerate(value):
            if isinstance(item, dict):
                found.append((f"{key}.{index}", item))
            else:
                self.fault(f"{key}.{index}", f"{key}: each entry must have keys, such as 'command: …'")
        return found

    def text(self, place: str, item: dict[str, Any], key: str) -> str:
        value = item.get(key)
        if value is not None and not isinstance(value, str):
            self.fault(f"{place}.{key}", f"{key} must be text (put it in quotes)")
            return ""
        return (value or "").strip()

    def foreign(self, place: str, item: dict[str, Any], known: tuple[str, ...]) -> None:
        for key in item:
            if key not in known:
                self.fault(f"{place}.{key}", f"unknown key '{key}' (known: {', '.join(known)})")

    def checks(self) -> tuple[Check, ...]:
        from kubectl_ai_intellect.knowledge.readonly import refusal

        found: list[Check] = []
        for place, item in self.entries("checks"):
            self.foreign(place, item, ("command", "expect"))
            check = Check(self.text(place, item, "command"), self.text(place, item, "expect"))
            if not check.command or not check.expect:
                self.fault(place, "a check needs 'command' and 'expect'")
            elif problem := _regex_problem(check.expect):
                self.fault(f"{place}.expect", f"expect is not a regular expression: {problem}")
            elif reason := refusal(check.command):
                message = f"this check is shown but never run: {reason}"
                self.fault(f"{place}.command", message, spoils=False)
            found.append(check)
        return tuple(found)

    def fixes(self) -> tuple[Fix, ...]:
        found: list[Fix] = []
        for place, item in self.entries("fixes"):
            self.foreign(place, item, ("title", "command", "yaml"))
            command, block = self.text(place, item, "command"), self.text(place, item, "yaml")
            fix = Fix(self.text(place, item, "title"), command, block)
            if not fix.title or not (fix.command or fix.yaml):
                self.fault(place, "a fix needs 'title' and 'command' or 'yaml'")
            found.append(fix)
        return tuple(found)

    def unknown_keys(self) -> None:
        for key in self.values:
            if key not in REQUIRED:
                self.fault(str(key), f"unknown key '{key}' (known: {', '.join(REQUIRED)})")


def _regex_problem(pattern: str) -> str:
    try:
        re.compile(pattern, re.MULTILINE)
    except re.error as error:
        return error.msg
    return ""


def _sections(lines: list[str], first_line: int) -> tuple[Section, ...]:
    """The headings of the second level outside fenced blocks, with what stands beneath each."""
    found: list[tuple[str, int, list[str]]] = []
    fence = ""
    for number, line in enumerate(lines, start=first_line):
        mark = re.match(r"\s*(```+|~~~+)", line)
        if mark and (not fence or line.strip().startswith(fence)):
            fence = "" if fence else mark.group(1)
        if not fence and line.startswith("## "):
            found.append((line[3:].strip().rstrip("#").strip(), number, []))
        elif found:
            found[-1][2].append(line)
    return tuple(Section(title, "\n".join(body).strip(), number) for title, number, body in found)


def _body_faults(runbook: Runbook, line: int) -> list[Fault]:
    titles = [section.title for section in runbook.sections]
    if runbook.id.startswith(GUIDE):
        return [] if titles else [Fault(line, "the body needs at least one section: a heading '## …'")]
    faults = [Fault(line, f"section missing: '## {title}'") for title in SECTIONS if title not in titles]
    for section in runbook.sections:
        if section.title not in SECTIONS:
            known = ", ".join(SECTIONS)
            faults.append(Fault(section.line, f"unknown section '{section.title}' (known: {known})"))
        elif not section.text:
            faults.append(Fault(section.line, f"section '{section.title}' is empty"))
    if not faults and titles != list(SECTIONS):
        faults.append(Fault(runbook.sections[0].line, f"sections must be in this order: {', '.join(SECTIONS)}"))
    return faults


__all__ = [
    "GUIDE",
    "SECTIONS",
    "Check",
    "Fault",
    "Fix",
    "Runbook",
    "RunbookError",
    "Section",
    "clean",
    "examine",
    "load",
    "looks_like_runbook",
    "parse",
    "read_text",
]
