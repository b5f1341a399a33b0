"""Staging ends at once when it is closed, and stages alone what touches the whole cluster."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios import runner
from tests.scenarios.runner import Cancelled, Settled, Staging
from tests.scenarios.scenario import Scenario


def scenario(name: str, isolation: str = "namespace") -> Scenario:
    return Scenario(name, Path(name), "", {"isolation": isolation})


@pytest.fixture
def standing(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """Who stands beside whom, each time one more does; `never` waits until it is cancelled."""
    seen: list[set[str]] = []
    now: set[str] = set()
    lock = threading.Lock()

    @contextmanager
    def staged(_cluster: Any, each: Scenario, over: threading.Event) -> Iterator[Any]:
        if each.name == "never":
            over.wait(30)
            raise Cancelled(each.name)
        with lock:
            now.add(each.name)
            seen.append(set(now))
        try:
            time.sleep(0.05)
            yield each
        finally:
            with lock:
                now.discard(each.name)

    monkeypatch.setattr(runner, "staged", staged)
    return seen


def name_of(settled: Settled) -> str:
    if settled.name == "bad":  # type: ignore[attr-defined]
        raise ValueError("what the visitor found")
    return settled.name  # type: ignore[attr-defined]


def test_what_touches_the_whole_cluster_stands_alone(standing: list[set[str]]) -> None:
    each = [scenario("one", "cluster"), *(scenario(f"many-{n}") for n in range(4)), scenario("two", "cluster")]
    staging = Staging(None, each, name_of, at_once=4)  # type: ignore[arg-type]
    assert [staging.outcome(one.name) for one in each] == [one.name for one in each]
    staging.close()
    assert {"one"} in standing
    assert {"two"} in standing
    assert all(len(beside) == 1 for beside in standing if beside & {"one", "two"})
    assert max(map(len, standing)) == 4


def test_closing_ends_the_wait_and_begins_nothing_more(standing: list[set[str]]) -> None:
    each = [scenario("never"), scenario("later"), scenario("alone", "cluster")]
    staging = Staging(None, each, name_of, at_once=1)  # type: ignore[arg-type]
    began = time.monotonic()
    staging.close()
    assert time.monotonic() - began < 5
    with pytest.raises(Cancelled):
        staging.outcome("never")
    assert standing == []


def test_one_that_fails_harms_no_other(standing: list[set[str]]) -> None:
    staging = Staging(None, [scenario("bad"), scenario("good")], name_of)  # type: ignore[arg-type]
    assert staging.outcome("good") == "good"
    with pytest.raises(ValueError, match="what the visitor found"):
        staging.outcome("bad")
    staging.close()
