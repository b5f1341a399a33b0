"""Recordings as a model meets them: whole, where nearly all is proved, and with parts lost or mechanisms taken away."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kubectl_ai_intellect.causes.base import causes
from kubectl_ai_intellect.kube.case import Case
from tests.scenarios.changed import without_events, without_logs
from tests.scenarios.recorded import Recording, recordings
from tests.scenarios.share import drawn, everything

Change = Callable[[Case], Case]
CHANGES: dict[str, Change] = {
    "as recorded": lambda case: case,
    "events expired": without_events,
    "logs forbidden": without_logs,
    "neither": lambda case: without_events(without_logs(case)),
}


@dataclass(frozen=True)
class Told:
    """A recording, and what was taken from it."""

    recording: Recording
    change: str = "as recorded"
    unknown: bool = False  # the mechanism that explains it is taken away

    @property
    def name(self) -> str:
        return f"{self.recording.name}, {self.change}" + (", cause unknown" if self.unknown else "")

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def case(self) -> Case:
        return CHANGES[self.change](self.recording.case)

    @property
    def causes(self) -> tuple[str, ...]:
        """The causes that a right answer may name."""
        expect = self.recording.expect
        return tuple(each for each in expect.get("any_of") or [expect.get("cause")] if each)

    @contextmanager
    def staged(self) -> Iterator[Case]:
        """The case, while the mechanisms that are to be unknown are taken away."""
        known = causes()
        before = dict(known)
        try:
            for each in self.causes if self.unknown else ():
                known.pop(each, None)
            yield self.case
        finally:
            known.clear()
            known.update(before)


def diagnosed() -> list[Recording]:
    """The recordings that are answered with a diagnosis; the controls among the scenarios are not a model's matter."""
    return [each for each in recordings() if not each.name.startswith("controls/")]


def share(kind: str, count: int, *changes: str, unknown: bool = False) -> list[Told]:
    """Some of the recordings, others for each kind; all of them where a run is to leave nothing out."""
    found = [each for each in diagnosed() if not unknown or each.expect["status"] == "root_cause"]
    all_of_them = [Told(each, change, unknown) for each in found for change in changes]
    if everything():
        return all_of_them
    names = drawn([each.name for each in all_of_them], count, kind)
    return [each for each in all_of_them if each.name in names]


__all__ = ["CHANGES", "Told", "diagnosed", "share"]
