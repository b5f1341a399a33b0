"""Server-sent events out of lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Event(NamedTuple):
    name: str
    data: str


def events(lines: Iterable[str]) -> Iterator[Event]:
    """Events as they complete; one that is cut off before its empty line is dropped, as the standard asks."""
    name, data = "", list[str]()
    for line in lines:
        if not line:
            if data:
                yield Event(name, "\n".join(data))
            name, data = "", []
            continue
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "event":
            name = value
        elif field == "data":
            data.append(value)


__all__ = ["Event", "events"]
