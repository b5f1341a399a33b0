"""A log stream to a `LogDigest`: one pass, bounded memory, repeats cheap.

Most lines of a log repeat in all but their numbers. A line's shape (its bytes without digits) is looked up first;
only a new shape is decoded, masked and searched for words of failure. Lines whose digits decide (statuses, addresses)
are told apart by those digits alone.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from kubectl_ai_intellect.evidence.logs.classify import Draft, classify
from kubectl_ai_intellect.evidence.logs.fold import Tally, Templates
from kubectl_ai_intellect.evidence.logs.lines import Splitter, text_of
from kubectl_ai_intellect.evidence.logs.model import LogDigest
from kubectl_ai_intellect.evidence.logs.prefilter import may_speak_of_failure, speaks_of_failure, speaks_of_success
from kubectl_ai_intellect.evidence.logs.rank import Collected, Hits, shown
from kubectl_ai_intellect.evidence.logs.structured import parse
from kubectl_ai_intellect.evidence.logs.traces import (
    BLANK,
    CONT,
    HEAD,
    KUBELET,
    OPEN_GO,
    OPEN_NODE,
    OPEN_OTHER,
    OPEN_PY,
    OPEN_RUST,
    Record,
    accepts,
    is_frame,
    role_of,
)

__all__ = ["digest"]

_DIGITS = b"0123456789"
_SHAPES = 6000
_VARIANTS = 64
_COARSE = 2
_RECORDS = 1024
_HELD = 1024
_BUDGET = 2000
# Every line is new: from here on only words of failure are looked for, and templates are no longer counted.
_CLOSE_LOOKS = 20_000
_ASCII = bytes(range(0x20, 0x7F)) + b"\t\r\x1b"
_TAIL = 20
_TRACE_LINES = 12
_TELLING_DIGITS = re.compile(
    rb"(?<![\w.:,+-])[1-5]\d\d(?![\w.:,-])|(?<![\w.-])(?:\d{1,3}(?:\.\d{1,3}){3}|[A-Za-z][\w.-]*|\]):\d{2,5}\b|\"level\": ?\d\d|\(?\d{2,3}: |[Ee]rrno -?\d+"
)
_ADDRESSES = re.compile(
    rb"(?<![\w.-])(?:\d{1,3}(?:\.\d{1,3}){3}|[A-Za-z][\w.-]*|\]):\d{2,5}\b|(?:refused|timeout|[Ee]rrno|HTTP/[\d.]+\"?) -?\d+"
)
_LATE = 200
_KEPT = 4096
_STAMP = re.compile(rb"[\[({<]?\"?(?:time=|ts=)?\"?\d{4}[-/]\d\d[-/]\d\d|\{|[\d.]{7,15} - |1\d{9}|\d+:[A-Z] ")
_OTHERS_REQUEST = re.compile(
    r"\"?(?:GET|POST|PUT|DELETE|PATCH|HEAD|OPTIONS) \S{1,2000} HTTP/[\d.]{1,3}\"?,?\s+(?:-\s+)?\"?(?:status[=:]\s?)?(?:[1-4]\d\d|50[015])\b"
)
_EXCEPTION_HEAD = re.compile(
    r"(?:[\w$]+\.){1,12}\w*(?:Exception|Error|Throwable)\b|\w*(?:Error|Exception)(?: \[\w+\])?: "
)


@dataclass(slots=True)
class _Shape:
    """What is known of all lines that share their bytes but for the digits. `drafts`: verdicts by telling digits."""

    role: int
    plain: bool
    suspicious: bool
    success: bool
    stamped: bool
    tally: Tally | None
    drafts: dict[bytes, Collected | None]
    grain: int = 0


_NOISE = _Shape(HEAD, True, False, False, False, None, {})


class _Later:
    """Not judged yet: the budget for close looks is spent."""


def digest(chunks: Iterable[bytes], *, exit_code: int | None = None) -> LogDigest:
    """Read a log once. `exit_code`: of the container, when it has ended; its last words then count as fatal."""
    reader = _Reader()
    splitter = Splitter()
    for batch in splitter.batches(chunks):
        reader.read(batch)
    return reader.finish(splitter, exit_code)


class _Reader:
    """The pass over the lines: known shapes, the open record, what was found."""

    def __init__(self) -> None:
        self._number = 0
        self._shapes: dict[bytes, _Shape] = {}
        self._templates = Templates()
        self._hits = Hits()
        self._open: Record | None = None
        self._single: tuple[bytes, _Shape, int] | None = None
        self._previous: tuple[bytes, int] | None = None
        self._tail: deque[bytes] = deque(maxlen=_TAIL)
        self._records: dict[tuple[bytes, ...], Collected | None] = {}
        self._budget = {"info": _BUDGET // 3, "": _BUDGET}
        self._late: deque[tuple[Record, bytes]] = deque(maxlen=_LATE)
        self._trace: Record | None = None
        self._misses = 0
        self._stamp: bytes = b""

    def read(self, batch: list[bytes]) -> None:
        """The hot loop: a plain line of a known shape costs one lookup."""
        shapes, tail, number = self._shapes, self._tail, self._number
        for raw in batch:
            if raw[:1] == b"\r":
                raw = raw[1:]
            else:
                number += 1
            shape = shapes.get(raw.translate(None, _DIGITS))
            if shape is None:
                shape = self._learn(raw)
            tally = shape.tally
            if tally is not None:
                tally.count += 1
                tally.last = raw if len(raw) <= _HELD else raw[:_HELD]
            if shape.plain and self._open is None:
                tail.append(raw)
                if self._single is not None:
                    self._close()
                self._previous = (raw, number)
            else:
                self._consider(raw, shape, number)
        self._number = number

    def finish(self, splitter: Splitter, exit_code: int | None) -> LogDigest:
        """Close what is open and say what was seen."""
        self._close()
        for record, raw in self._late:
            self._collect(record, raw, classify(record))
        last = tuple(shown(text_of(raw)) for raw in self._tail)
        return LogDigest(
            lines=self._number,
            bytes=splitter.bytes,
            truncated=splitter.truncated,
            binary=splitter.binary,
            empty=not any(line.strip() for line in last),
            hits=self._hits.told(self._number, exit_code),
            last_lines=last,
            templates=self._templates.told(),
            trace=_folded(self._trace) if self._trace is not None else "",
        )

    def _learn(self, raw: bytes) -> _Shape:
        """Look closely at a line of a new shape, and remember the outcome."""
        self._misses += 1
        if len(raw.translate(None, _ASCII)) * 3 > len(raw) and not _is_text(raw):
            return _NOISE
        text = _body(raw)
        role = role_of(text)
        if self._misses > _CLOSE_LOOKS:
            plain = role == HEAD and not may_speak_of_failure(text.lower())
            return _Shape(role, plain, not plain, False, _STAMP.match(raw) is not None, None, {})
        tally = None
        if role in (HEAD, OPEN_PY, OPEN_GO, OPEN_NODE, OPEN_RUST, OPEN_OTHER):
            parsed = parse(raw)
            if role != OPEN_PY:
                tally = self._templates.tally(parsed.text, parsed.level, raw[:_HELD])
        low = text.lower()
        suspicious = role in (OPEN_PY, OPEN_GO, OPEN_NODE, OPEN_RUST, OPEN_OTHER) or _suspicious(text, low)
        success = role == HEAD and speaks_of_success(text)
        plain = role == HEAD and not suspicious and not success
        shape = _Shape(role, plain, suspicious, success, _STAMP.match(raw) is not None, tally, {})
        if len(self._shapes) >= _SHAPES:
            self._shapes.clear()
        if len(raw) <= _HELD:
            self._shapes[raw.translate(None, _DIGITS)] = shape
        return shape

    def _consider(self, raw: bytes, shape: _Shape, number: int) -> None:
        """A line that may begin, continue or be a record."""
        role = shape.role
        if role != BLANK:
            self._tail.append(raw)
        if shape.stamped:
            self._stamp = raw[:_HELD]
        elif self._open is None and self._single is None:
            self._remember_time()
        if role == HEAD and self._open is None:
            self._close()
            self._begin(raw, shape, number)
            return
        if role in (CONT, BLANK) and self._open is None:
            self._continue(raw, shape, number)
            return
        text = _body(raw)
        if self._open is not None:
            if accepts(self._open, text, role):
                if role != BLANK:
                    self._open.add(raw[:_KEPT], text[:_KEPT], number)
                return
            self._close()
        if role in (CONT, BLANK):
            return
        if role == HEAD:
            self._begin(raw, shape, number)
            return
        self._close()
        self._open = Record(number, role, awaiting=role == OPEN_PY, last=number)
        self._open.add(raw[:_KEPT], text[:_KEPT], number)

    def _begin(self, raw: bytes, shape: _Shape, number: int) -> None:
        if shape.success:
            self._hits.success(_body(raw)[:300], number)
        self._previous = (raw, number)
        if shape.suspicious:
            self._single = (raw, shape, number)

    def _continue(self, raw: bytes, shape: _Shape, number: int) -> None:
        """An indented line below a single one makes the two a record; so does a telling one below a plain line."""
        if shape.role == BLANK:
            self._close()
            self._previous = None
            return
        text = _body(raw)
        if self._single is None and not (shape.suspicious or is_frame(text)):
            return
        if self._single is not None:
            head, first = self._single[0], self._single[2]
            self._single = None
        else:
            head, first = self._previous or (raw, number)
        self._open = Record(first, HEAD, last=number)
        self._open.add(head[:_KEPT], _body(head)[:_KEPT], first)
        if head is not raw:
            self._open.add(raw[:_KEPT], text[:_KEPT], number)

    def _close(self) -> None:
        """The open record is complete: classify it, or count it when its like was classified before."""
        record, single = self._open, self._single
        self._open = self._single = None
        if single is not None:
            raw, shape, number = single
            self._close_single(raw, shape, number)
        if record is None:
            return
        if record.mode != HEAD or record.frames:
            self._trace = record
        telling = [line for line, text in zip(record.lines, record.texts, strict=True) if not is_frame(text)]
        key = tuple(part for line in telling[:20] for part in (line.translate(None, _DIGITS), _digits(line, 0)))
        if key in self._records:
            found = self._records[key]
            if found is not None:
                found.seen(record.number, record.last, self._stamp_for(record.lines[0]))
            return
        found = self._judge(record, "")
        if len(self._records) >= _RECORDS:
            self._records.clear()
        if not isinstance(found, _Later):
            self._records[key] = found

    def _close_single(self, raw: bytes, shape: _Shape, number: int) -> None:
        drafts = shape.drafts
        if len(drafts) >= _VARIANTS and shape.grain < _COARSE:
            drafts.clear()
            shape.grain += 1
        digits = _digits(raw, shape.grain)
        if digits not in drafts:
            record = Record(number, HEAD, last=number)
            record.add(raw, _body(raw), number)
            level = shape.tally.level if shape.tally is not None else ""
            found = self._judge(record, "info" if level in ("info", "debug", "trace") else "")
            if not isinstance(found, _Later):
                drafts[digits] = found
            return
        found = drafts[digits]
        if found is not None:
            found.seen(number, number, raw if shape.stamped else self._stamp_for(raw))

    def _judge(self, record: Record, level: str) -> Collected | _Later | None:
        """Classify while the budget lasts; of what comes later only the last are looked at, at the end."""
        raw = self._stamp_for(record.lines[0])
        if self._budget[level] <= 0:
            self._late.append((record, raw))
            return _Later()
        self._budget[level] -= 1
        return self._collect(record, raw, classify(record))

    def _collect(self, record: Record, raw: bytes, draft: Draft | None) -> Collected | None:
        if draft is None:
            return None
        found = self._hits.of(draft, record.number, raw)
        found.seen(record.number, record.last, raw)
        return found

    def _stamp_for(self, raw: bytes) -> bytes:
        """A line with a timestamp: this one, or the last one before it that had any."""
        return raw[:_HELD] if _STAMP.match(raw) else self._stamp or raw[:_HELD]

    def _remember_time(self) -> None:
        """What begins here has no timestamp of its own: it happened when the last stamped line did."""
        for raw in reversed(self._tail):
            if _STAMP.match(raw):
                self._stamp = raw[:_HELD]
                return


def _is_text(raw: bytes) -> bool:
    try:
        return raw.decode("utf-8").isprintable()
    except UnicodeDecodeError:
        return False


def _body(raw: bytes) -> str:
    """The line without the kubelet's timestamp, its indentation kept."""
    text = text_of(raw)
    prefix = KUBELET.match(text)
    return text[prefix.end() :] if prefix is not None else text


def _digits(raw: bytes, grain: int) -> bytes:
    """The digits that tell lines of one shape apart; a shape with very many variants is looked at more coarsely."""
    if grain >= _COARSE:
        return b""
    return b" ".join((_ADDRESSES if grain else _TELLING_DIGITS).findall(raw)[:40])


def _suspicious(text: str, low: str) -> bool:
    if _OTHERS_REQUEST.search(text) is not None:
        return False
    if _EXCEPTION_HEAD.match(text) is not None:
        return True
    return speaks_of_failure(low)


def _folded(record: Record) -> str:
    """The trace in at most twelve lines: what was said, and the first frames below the root."""
    texts = record.texts
    keep = {0}
    telling = [n for n, t in enumerate(texts) if not is_frame(t)]
    keep.update(telling[-5:])
    keep.update(telling[:3])
    root = telling[-1] if telling else 0
    around = [*range(root + 1, len(texts)), *range(root - 1, 0, -1)]
    for number in around:
        if len(keep) >= _TRACE_LINES:
            break
        keep.add(number)
    return "\n".join(shown_frame(texts[n]) for n in sorted(keep))


def shown_frame(text: str) -> str:
    """One line of a trace, its indentation kept."""
    indent = text[: len(text) - len(text.lstrip())].replace("\t", "    ")[:8]
    return indent + shown(text)
