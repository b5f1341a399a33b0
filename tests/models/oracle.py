"""A model that knows the answer: it chooses the right candidate when it is shown, and reads on while it is not."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from typing import Any

from tests.models.reading import Legal, Shown
from tests.models.scripted import Scripted


class Oracle(Scripted):
    """Knows the causes and objects that a scenario allows; it can no more do than any model can."""

    name = "oracle"

    def __init__(self, expect: Mapping[str, Any]):
        super().__init__()
        self._causes = set(expect.get("any_of") or [expect.get("cause")])
        wanted = expect.get("object") or ()
        self._objects = [wanted] if isinstance(wanted, str) else list(wanted)
        self._said = ""

    def decide(self, seen: Shown, may: Legal) -> dict[str, Any]:
        right = [name for name in may.ranked if name in seen.candidates and self._right(seen, name)]
        if right:
            first = seen.candidates[right[0]]
            self._said = f"{first.at}: {first.says}"
            own = [name for name in may.cites if seen.facts.get(name, ("",))[0].partition("[")[0] == first.at]
            ways = [own[-4:], *([name] for name in may.cites)]
            cites = [way for way in ways if way][len(seen.refusals) % 8 :]
            return {"ranked": right[:3], "cites": (cites or [list(may.cites[:1])])[0]}
        if may.reads:
            return {"probe": may.reads[0]}
        return {"undecided": True}

    def _right(self, seen: Shown, name: str) -> bool:
        each = seen.candidates[name]
        return each.cause in self._causes and any(fnmatch.fnmatchcase(each.at, pattern) for pattern in self._objects)

    def picks(self, labels: Sequence[str]) -> int:
        fitting = [index for index, label in enumerate(labels) if label[:60] == self._said[:60]]
        return fitting[0] if fitting else 0


__all__ = ["Oracle"]
