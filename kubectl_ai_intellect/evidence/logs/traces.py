"""Lines to records: which lines belong to one trace, and which of them decide it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

__all__ = [
    "BLANK",
    "CONT",
    "HEAD",
    "OPEN_GO",
    "OPEN_NODE",
    "OPEN_OTHER",
    "OPEN_PY",
    "OPEN_RUST",
    "Record",
    "accepts",
    "is_frame",
    "ordered",
    "role_of",
]

HEAD, CONT, BLANK, OPEN_PY, OPEN_GO, OPEN_NODE, OPEN_RUST, OPEN_OTHER = range(8)
_MOST = 160

KUBELET = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)(?: |$)(?:(?:stdout|stderr) [FP](?: |$))?"
)
_CONT = re.compile(
    r"[ \t]|Caused by: |Suppressed: |\.\.\. \d+ (?:more|common)|goroutine \d+ \[|#\d+ |Stack trace:|stack backtrace:"
    r"|note: (?:run with|Some details)|During handling of the above|The above exception was|created by \S|Node\.js v\d|Emitted '"
    r"|[}\])]{1,3}[,;]?$|\^+$|--- End of |(?:\w+ )?---> |\[cause\]|from /\S+:\d+:in |exit status \d|\[signal SIG|\[[\d: ,\-]{1,30}\] ?$|  "
)
_OPEN_GO = re.compile(r"panic: |fatal error: (?!.{0,40}Uncaught)|SIGSEGV: |unexpected fault address|runtime: ")
_OPEN_NODE = re.compile(r"(?:node:[\w/.]+|(?:file://)?/[^\s:]+\.[cm]?[jt]sx?|internal/[\w/.]+\.js):\d+$")
_OPEN_RUST = re.compile(r"thread '[^'\n]{0,100}' (?:\(\d+\) )?panicked at ")
_OPEN_OTHER = re.compile(r"\*\* \((?:\w+\.){0,6}\w*(?:Error|EXIT|exit)\w*\)")
_ERROR_LINE = re.compile(r"(?:Uncaught )?[\w.]*(?:Error|Exception)\b")
_STAMPED = re.compile(
    r"[\[({<]?\d{4}[-/]\d\d[-/]\d\d[T ]|[IWEF]\d{4} \d\d:|\{\"|time=|ts=|level=|\[?(?:INFO|DEBUG|WARN|WARNING|ERROR|FATAL)\b[\]: ]|\w{3}\s+\d{1,2} \d\d:\d\d:"
)
_FRAME = re.compile(
    r"\s*(?:at [\w$<\[/.].*[)\]]?$|at \S+|File \"[^\"]+\", line \d+|\.\.\. \d+ (?:more|common|frames)|#\d+ |from \S+:\d+|\S+\.go:\d+ \+0x"
    r"|\S+\.go:\d+$|goroutine \d+ \[|created by |[\w./\-*()]+\([^)]{0,200}\)$|\d+:\s+(?:0x[0-9a-f]+ - )?[\w<:]+.*::|\^+$|[~^ ]+$|--- End of |note: run with"
    r"|stack backtrace:|Stack trace:|Traceback \(most recent|\(?\w+ \d[\w.\-]*\) \S+\.exs?:\d+|node:internal/|exit status \d|Node\.js v\d|thrown in )"
)
_EXCEPTION = re.compile(
    r"(?:[A-Za-z_][\w]*\.){0,12}[A-Za-z_]\w*(?:Error|Exception|Warning|Exit|Interrupt|Failure|Timeout|NotFound|Unavailable|Refused|Configured|DoesNotExist|Unauthorized|Denied)?(?:: |$)"
)
_PY_END = re.compile(r"(?!(?:INFO|DEBUG|WARNING|ERROR|CRITICAL|NOTICE)\b)[A-Za-z_][\w.]*(?::(?: |$)|$)")
"""The line that ends a Python trace: the exception's name, and mostly what it says."""
_STRAYS = 3
_CAUSE = re.compile(r"\s*(?:Caused by:|--->|\[cause\]:|cause:|Caused by )")
_CHAINED = re.compile(r"During handling of the above|The above exception was")


@dataclass(slots=True)
class Record:
    """One statement of the log: a line, or a trace of many lines of which only telling ones are kept."""

    number: int
    mode: int
    lines: list[bytes] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    awaiting: bool = False
    chained: bool = False
    loose: int = 0
    strays: int = 0
    frames: int = 0
    last: int = 0

    def add(self, raw: bytes, text: str, number: int) -> None:
        """Keep the line; of a very long trace the middle frames are dropped."""
        self.last = number
        frame = len(self.texts) > 0 and is_frame(text)
        self.frames += frame
        if len(self.texts) >= _MOST:
            return
        if frame and self.frames > 40 and not _CAUSE.match(text):
            return
        self.lines.append(raw)
        self.texts.append(text)


def role_of(text: str) -> int:
    """What this line does to a trace; `text` is without the kubelet's timestamp."""
    if not text or text.isspace():
        return BLANK
    if text.startswith("Traceback (most recent call last)"):
        return OPEN_PY
    if _OPEN_RUST.match(text):
        return OPEN_RUST
    if _OPEN_GO.match(text):
        return OPEN_GO
    if _OPEN_NODE.match(text):
        return OPEN_NODE
    if _OPEN_OTHER.match(text):
        return OPEN_OTHER
    return CONT if _CONT.match(text) else HEAD


def is_frame(text: str) -> bool:
    """A line that only says where, not what."""
    return _FRAME.match(text) is not None


def accepts(record: Record, text: str, role: int) -> bool:
    """Whether the open record takes this line, by the rules of its language."""
    mode = record.mode
    if role == BLANK:
        return mode != HEAD
    if role == CONT:
        if mode == OPEN_PY and _CHAINED.match(text):
            record.chained = True
        return True
    if mode == OPEN_PY:
        return _accepts_python(record, text, role)
    if role != HEAD or _STAMPED.match(text):
        return role == OPEN_GO and mode == OPEN_GO and record.frames == 0
    if mode == OPEN_GO:
        record.loose += 1
        return record.loose <= 60 and (record.loose <= 1 or record.frames > 0 or is_frame(text))
    if mode == OPEN_NODE:
        record.loose += 1
        if record.chained or record.loose > 8:
            return False
        record.chained = _ERROR_LINE.match(text) is not None
        return True
    if mode == OPEN_OTHER:
        record.loose += 1
        return record.loose <= 6 and record.frames == 0
    if mode == OPEN_RUST:
        record.loose += 1
        return record.loose == 1 and record.texts[0].rstrip().endswith(":")
    return False


def _accepts_python(record: Record, text: str, role: int) -> bool:
    if role == OPEN_PY:
        if not record.chained:
            return False
        record.awaiting, record.chained = True, False
        return True
    if role != HEAD:
        return False
    if record.awaiting and not _PY_END.match(text) and record.strays < _STRAYS:
        record.strays += 1  # another stream's or thread's line, between two lines of the trace
        return True
    if record.awaiting:
        record.awaiting = False
        record.loose = 12 if re.search(r"validation errors? for|:$", text) else 0
        return True
    if record.loose > 0 and not _STAMPED.match(text):
        record.loose -= 1
        return True
    return False


def ordered(record: Record) -> list[str]:
    """The lines that say what happened, the root of the trace first."""
    telling = [t for t in record.texts if not is_frame(t) or t is record.texts[0]]
    if len(telling) <= 1:
        return telling
    if record.mode == OPEN_NODE:
        # Above the error stand its place and a line of source code.
        start = next((n for n, t in enumerate(telling) if _ERROR_LINE.match(t)), 0)
        telling = telling[start:]
    causes = [t for t in telling if _CAUSE.match(t)]
    if causes:
        return causes[::-1] + [t for t in telling if t not in causes]
    if any(t.startswith("Traceback (most recent call last)") for t in record.texts):
        # Code shown below a frame is indented; exception lines are not, and the last one is the root.
        said = [t for t in telling if not t[:1].isspace() and not _CHAINED.match(t) and not t.startswith("Traceback")]
        exceptions = [t for t in said if _EXCEPTION.match(t)]
        notes = [t for t in telling if t[:1].isspace() and t not in exceptions and not _is_code(record, t)]
        return exceptions[::-1] + [t for t in said if t not in exceptions] + notes
    return telling


def _is_code(record: Record, text: str) -> bool:
    """The source line that Python shows right below a frame."""
    at = record.texts.index(text)
    return at > 0 and record.texts[at - 1].lstrip().startswith('File "')
