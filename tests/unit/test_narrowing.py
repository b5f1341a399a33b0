"""-l, -c and --since: a question about a part of what is there."""

from __future__ import annotations

from datetime import timedelta

import pytest

from kubectl_ai_intellect.cli.flags import parse
from kubectl_ai_intellect.errors import UsageError
from kubectl_ai_intellect.investigate.reading import Reader
from kubectl_ai_intellect.investigate.scope import Scope
from kubectl_ai_intellect.kube.case import CaseSource
from kubectl_ai_intellect.kube.source import list_of
from kubectl_ai_intellect.state.events import event
from kubectl_ai_intellect.state.selectors import expression_matches, parsed
from tests.scenarios.asking import ask_case
from tests.scenarios.recorded import path_of
from tests.scenarios.scenario import find


def case(name: str) -> str:
    return str(path_of(next(each for each in find() if each.name == name)))


@pytest.mark.parametrize(
    ("selector", "picked"),
    [
        ("app=web", True), ("app==web", True), ("app!=web", False), ("app=web,tier=back", False), ("app", True),
        ("!app", False), ("!other", True), ("app in (api, web)", True), ("app notin (web)", False),
        ("tier in (front),app=web", True), ("example.com/part=x.y_z", True), ("absent!=x", True),
    ],
)  # fmt: skip
def test_selectors_are_read_as_kubectl_reads_them(selector: str, picked: bool) -> None:
    labels = {"app": "web", "tier": "front", "example.com/part": "x.y_z"}
    assert all(expression_matches(each, labels) for each in parsed(selector)) is picked


@pytest.mark.parametrize("flags", [["-l", "app in (web"], ["-l", "a=b=c"], ["-l", "=x"], ["--since", "soon"], ["-l"]])
def test_bad_narrowing_is_a_usage_error(flags: list[str]) -> None:
    with pytest.raises(UsageError):
        parse([*flags, "why"]) if len(flags) > 1 else parse(flags)


def asked(name: str, *flags: str) -> dict[str, object]:
    from kubectl_ai_intellect.cli.ask import ask

    options = parse(["--from", case(name), *flags, "what", "is", "wrong"])
    return ask(options, progress=lambda text: None, choose=None).model_dump(mode="json")


def test_labels_keep_a_question_to_what_they_pick() -> None:
    name = "image/not-found"
    whole = ask_case(CaseSource(case(name)).case)
    source = CaseSource(case(name))
    labels = Reader(source).start(Scope(source.namespace)).all("Pod").items[0].labels
    key = next(key for key in labels if key != "pod-template-hash")
    same = asked(name, "-l", f"{key}={labels[key]}")
    assert same["verdict"]["cause"] == whole["verdict"]["cause"]  # type: ignore[index]
    none = asked(name, "-l", f"{key}=nobody")
    assert none["answer"]["status"] == "not_found"  # type: ignore[index]
    assert "nobody" in none["answer"]["text"]  # type: ignore[index]


def test_a_container_that_is_not_there_is_told() -> None:
    answer = asked("image/not-found", "-c", "sidecar")["answer"]
    assert answer["status"] == "not_found"  # type: ignore[index]
    assert "sidecar" in answer["text"]  # type: ignore[index]


def test_one_container_of_several() -> None:
    from kubectl_ai_intellect.causes.base import Symptom
    from kubectl_ai_intellect.investigate.scope import of_container
    from kubectl_ai_intellect.kube.refs import ref

    pod = ref("Pod", "shop", "cart-0")
    app, proxy = Symptom("container-restarting", pod.at("app")), Symptom("container-restarting", pod.at("proxy"))
    unready, service = Symptom("pod-unready", pod), Symptom("no-endpoints", ref("Service", "shop", "cart"))
    assert of_container([app, proxy, unready, service], "app") == [app, service]
    assert of_container([proxy, unready, service], "app") == [unready, service]


def test_events_older_than_since_are_left_out() -> None:
    source = CaseSource(case("image/not-found"))
    reads = [list_of("Event", source.namespace)]
    whole = Reader(source).fetch(reads)[0].items
    stamps = sorted(last for each in whole if (last := event(each).last))
    since = source.now() - stamps[len(stamps) // 2]
    young = Reader(source, since=since).fetch(reads)[0].items
    assert 0 < len(young) < len(whole)
    assert len(Reader(source, since=timedelta(days=9)).fetch(reads)[0].items) == len(whole)
