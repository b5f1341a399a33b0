"""Cron schedules, as far as it takes to say whether a time has passed that should have started a Job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

_NAMES = {"jan": 1, "feb": 2, "mar": 3, "apr": 4, "may": 5, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "oct": 10,
          "nov": 11, "dec": 12, "sun": 0, "mon": 1, "tue": 2, "wed": 3, "thu": 4, "fri": 5, "sat": 6}  # fmt: skip
_MACROS = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
           "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *"}  # fmt: skip
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_FARTHEST = 60 * 24 * 8
_GRACE = timedelta(seconds=30)
"""How late the controller may be without anything being wrong."""


def missed(schedule: str, last: datetime | None, now: datetime, zone: str = "") -> datetime | None:
    """The first scheduled time after `last` that has passed (at most some days of them are looked at)."""
    fields = _fields(schedule)
    if fields is None or last is None:
        return None
    minutes, hours, days, months, weekdays = fields
    where = _zone(zone)
    moment = last.astimezone(UTC).replace(second=0, microsecond=0)
    for _ in range(_FARTHEST):
        moment += timedelta(minutes=1)
        if moment > now - _GRACE:
            return None
        local = moment.astimezone(where)
        either = len(days) < 31 and len(weekdays) < 7  # cron: both restricted means one of them suffices
        day, weekday = local.day in days, (local.isoweekday() % 7) in weekdays
        if local.minute in minutes and local.hour in hours and local.month in months:
            if (day or weekday) if either else (day and weekday):
                return moment
    return None


def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name) if name else UTC
    except (KeyError, ValueError, OSError):
        return UTC


def _fields(schedule: str) -> list[set[int]] | None:
    text = _MACROS.get(schedule.strip().lower(), schedule.strip().lower())
    parts = text.split()
    if len(parts) != 5:
        return None
    try:
        return [_field(part, *bounds) for part, bounds in zip(parts, _BOUNDS, strict=True)]
    except ValueError:
        return None


def _field(text: str, low: int, high: int) -> set[int]:
    """One field: *, ?, lists, ranges, steps, names; 7 is Sunday too."""
    values: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        if span in ("*", "?"):
            first, last = low, high
        elif "-" in span:
            first, last = (_number(each) for each in span.split("-", 1))
        else:
            first = _number(span)
            last = high if step else first
        if last > high and high == 6:
            values.add(0)
            last = 6
        values.update(range(first if first <= high else 0, (last if last <= high else high) + 1, int(step or 1)))
    return values


def _number(text: str) -> int:
    return _NAMES[text[:3]] if text[:3] in _NAMES else int(text)


__all__ = ["missed"]
