"""When a line was written: the timestamps that loggers, databases, proxies and kubelets print."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

__all__ = ["peel", "time_of"]

_ISO = re.compile(
    r"(?P<y>\d{4})[-/.](?P<mo>\d\d)[-/.](?P<d>\d\d)(?:[T _]|\s-\s|:)\s?(?P<h>\d\d):(?P<mi>\d\d):(?P<s>\d\d)"
    r"(?:[.,](?P<f>\d{1,9}))?(?:\s?(?P<z>Z|UTC|GMT|[+-]\d\d:?(?:\d\d)?)(?![\w]))?"
)
_DAY_FIRST = re.compile(
    r"(?P<d>\d{1,2})[/ -](?P<mon>[A-Z][a-z]{2})[/ -](?P<y>\d{4})[: ](?P<h>\d\d):(?P<mi>\d\d):(?P<s>\d\d)"
    r"(?:[.,](?P<f>\d{1,9}))?(?:\s(?P<z>[+-]\d{4}|UTC|GMT))?"
)
_YEAR_LAST = re.compile(
    r"(?:[A-Z][a-z]{2} )?(?P<mon>[A-Z][a-z]{2})\s+(?P<d>\d{1,2}) (?P<h>\d\d):(?P<mi>\d\d):(?P<s>\d\d)"
    r"(?:\.(?P<f>\d{1,9}))?(?: (?P<z>UTC|GMT))? (?P<y>\d{4})"
)
_NO_YEAR = re.compile(r"[A-Z][a-z]{2}\s+\d{1,2} \d\d:\d\d:\d\d(?:\.\d+)?(?= )")
_KLOG = re.compile(r"(?P<level>[IWEF])\d{4} \d\d:\d\d:\d\d(?:\.\d{1,9})?\s+\d*\s?")
_CLOCK = re.compile(r"\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?=[\s\]|])")
_EPOCH = re.compile(r"(?P<e>1\d{9}(?:\.\d{1,9}|\d{3})?)(?=[\s\]])")
_OPENERS = re.compile(r"[\s\[(<|*\"']{0,4}(?:\d{1,7}:[A-Z]\s)?(?:time=\"?|ts=\"?)?")
_CLOSERS = re.compile(r"[\]\)>|\"',:;*]{0,4}\s*(?:-\s)?(?:\|\s*)?")
_CRI = re.compile(r"(?:stdout|stderr) [FP] ")
_MONTHS = {
    m: n for n, m in enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)
}


def peel(text: str) -> tuple[datetime | None, str]:
    """The first timestamp at the head of a line, and the line without any timestamps at its head."""
    at: datetime | None = None
    for _ in range(3):
        opened = _OPENERS.match(text)
        start = opened.end() if opened is not None else 0
        found, when = _stamp_at(text, start)
        if found is None:
            break
        at = at or when
        closed = _CLOSERS.match(text, found.end())
        text = text[closed.end() if closed is not None else found.end() :]
        runtime = _CRI.match(text)
        if runtime is not None:
            text = text[runtime.end() :]
    return at, text


def _stamp_at(text: str, start: int) -> tuple[re.Match[str] | None, datetime | None]:
    for pattern in (_ISO, _DAY_FIRST, _YEAR_LAST):
        found = pattern.match(text, start)
        if found is not None:
            return found, _built(found.groupdict())
    epoch = _EPOCH.match(text, start)
    if epoch is not None:
        return epoch, time_of(float(epoch["e"]))
    for pattern in (_NO_YEAR, _CLOCK):
        found = pattern.match(text, start)
        if found is not None:
            return found, None
    return None, None


def time_of(value: Any) -> datetime | None:
    """A time field of a structured line: text in a known form, or seconds, milli- or nanoseconds."""
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, dict):
        return next((t for t in map(time_of, value.values()) if t is not None), None)
    if isinstance(value, int | float):
        seconds = float(value)
        while seconds > 1e11:
            seconds /= 1000
        if not 9e8 < seconds < 4.2e9:
            return None
        return datetime.fromtimestamp(seconds, UTC)
    if isinstance(value, str):
        return _stamp_at(value, 0)[1]
    return None


def _built(parts: dict[str, str | None]) -> datetime | None:
    month = parts.get("mo") or _MONTHS.get(parts.get("mon") or "", 0)
    try:
        return datetime(
            int(parts["y"] or 0),
            int(month),
            int(parts["d"] or 0),
            int(parts["h"] or 0),
            int(parts["mi"] or 0),
            int(parts["s"] or 0),
            int((parts.get("f") or "0").ljust(6, "0")[:6]),
            tzinfo=_zone(parts.get("z")),
        )
    except ValueError:
        return None


def _zone(text: str | None) -> timezone:
    """Loggers that print no zone are taken for UTC: containers run on it."""
    if not text or text in {"Z", "UTC", "GMT"}:
        return UTC
    digits = text[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return timezone(-offset if text[0] == "-" else offset) if offset < timedelta(hours=24) else UTC


def klog_level(text: str) -> tuple[str, str]:
    """The level letter of a klog line and what follows its header, or two empty words."""
    found = _KLOG.match(text)
    return (found["level"], text[found.end() :]) if found is not None else ("", "")
