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

    def __init__(self, expect: Mapping[str, Any], truth: str = ""):
        super().__init__()
        self._truth = truth  # what is wrong, for where no candidate says so
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
        stated = self._stated(seen, may)
        if stated and (not may.reads or len(stated["cites"]) > 1):
            return stated
        if may.reads:
            return {"probe": may.reads[0]}
        return {"undecided": True}

    def _stated(self, seen: Shown, may: Legal) -> dict[str, Any] | None:
        """The truth in a sentence, on the facts about the object at fault; in their own words if it is refused."""
        about = [name for name in may.cites if name in seen.facts and self._about(seen.facts[name][0])]
        if not self._truth or not about or may.other is None:
            return None
        at, text = seen.facts[about[0]]
        words = " ".join(word for word in text.split() if word.isalpha())
        said = f"{at.partition('[')[0]} is at fault, its facts say {words}" if seen.refusals else self._truth
        return {"other": said[: may.other.most].ljust(12, "."), "cites": about[:4]}

    def _about(self, at: str) -> bool:
        kind, _, name = at.partition("[")[0].partition("/")
        for pattern in self._objects:
            wanted, _, base = pattern.partition("/")
            if fnmatch.fnmatchcase(f"{kind}/{name}", pattern):
                return True
            if kind == "Pod" and wanted in ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob"):
                return fnmatch.fnmatchcase(name, f"{base}-*")
        return False

    def _right(self, seen: Shown, name: str) -> bool:
        each = seen.candidates[name]
        return each.cause in self._causes and any(fnmatch.fnmatchcase(each.at, pattern) for pattern in self._objects)

    def picks(self, labels: Sequence[str]) -> int:
        fitting = [index for index, label in enumerate(labels) if label[:60] == self._said[:60]]
        return fitting[0] if fitting else 0


__all__ = ["Oracle"]
