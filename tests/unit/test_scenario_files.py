"""Scenario files are checked with the line of each mistake, and what they ask for is looked up as written."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.predicates import unseen, values
from tests.scenarios.scenario import ScenarioError, find, load

GOOD = """\
question: why is it not starting
namespace: shop
needs: controlplane
manifests: |
  apiVersion: v1
  kind: ConfigMap
  metadata: { name: "a-{suffix}" }
until:
  - count: { of: ConfigMap/a-*, is: 1 }
expect:
  status: root_cause
  cause: config/configmap-missing
  object: ConfigMap/a-{suffix}
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "area" / "name.yaml"
    path.parent.mkdir()
    path.write_text(text)
    return path


def mistakes(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(ScenarioError) as caught:
        load(written(tmp_path, text), tmp_path)
    return [line.removeprefix(f"{tmp_path}/area/name.yaml:") for line in str(caught.value).splitlines()]


def test_all_our_scenarios_are_well_formed() -> None:
    assert len(find()) >= 16


def test_their_causes_are_in_the_catalogue() -> None:
    import yaml

    import kubectl_ai_intellect

    catalogue = Path(kubectl_ai_intellect.__file__).parent / "causes" / "catalogue.yaml"
    known = yaml.safe_load(catalogue.read_text())
    for scenario in find():
        named = {scenario.expect.get("cause"), *(scenario.expect.get("any_of") or ())} - {None}
        named |= set(scenario.expect.get("ruled_out") or ())
        assert named <= set(known), scenario.path


def test_each_staging_gets_names_of_its_own(tmp_path: Path) -> None:
    scenario = load(written(tmp_path, GOOD), tmp_path)
    one, two = scenario.bound(), scenario.bound()
    assert scenario.name == "area/name"
    assert one.namespace == f"shop-{one.suffix}"
    assert one.namespace != two.namespace
    assert one.manifests[0]["metadata"]["name"] == f"a-{one.suffix}"
    assert one.expect["object"] == f"ConfigMap/a-{one.suffix}"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("needs: controlplane", "needs: moon"), "3: needs: 'moon' is not one of"),
        (("  - count: { of:", "  - count: { on:"), "9: until.0.count: "),
        (("  cause: config/configmap-missing\n", ""), "11: expect: "),
        (("  status: root_cause", "  status: healthy"), "11: expect: "),
        (("until:", "untl:"), "1: "),
        (("  kind: ConfigMap", "  kind: [ConfigMap"), "7: manifests: not YAML"),
        (("  kind: ConfigMap\n", ""), "5: manifests: a document lacks kind"),
        (("question: why", "question: [why"), "2: not YAML"),
    ],
)
def test_mistakes_are_told_with_their_line(tmp_path: Path, change: tuple[str, str], expected: str) -> None:
    found = mistakes(tmp_path, GOOD.replace(*change))
    assert any(line.startswith(expected) for line in found), found


def test_a_cause_and_a_list_of_causes_exclude_each_other(tmp_path: Path) -> None:
    both = GOOD.replace("  object:", "  any_of: [app/crash, app/bad-config]\n  object:")
    assert re.match(r"\d+: expect: ", mistakes(tmp_path, both)[0])


class Held:
    """A reader of what is given."""

    def __init__(self, objects: dict[str, list[dict[str, Any]]], log: str = "") -> None:
        self._objects, self._log = objects, log

    def objects(self, kind: str, namespace: str) -> list[dict[str, Any]]:
        found = self._objects.get(kind, [])
        return [each for each in found if each["metadata"].get("namespace", "ns") == namespace]

    def log(self, namespace: str, pod: str, container: str, previous: bool) -> str:
        return self._log if (pod, container, previous) == ("web-1", "web", True) else ""


POD = {
    "metadata": {"name": "web-1"},
    "spec": {"containers": [{"name": "web"}]},
    "status": {
        "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "unready"}],
        "containerStatuses": [{"restartCount": 3, "state": {"waiting": {"reason": "CrashLoopBackOff"}}}],
    },
}
EVENT = {
    "metadata": {"name": "e"},
    "involvedObject": {"kind": "Pod", "name": "web-1"},
    "reason": "BackOff",
    "message": "Back-off restarting failed container",
}
HELD = Held({"Pod": [POD], "Event": [EVENT]}, "first\npanic: boom\n")
RESTARTS = "status.containerStatuses[*].restartCount"


@pytest.mark.parametrize(
    ("predicate", "holds"),
    [
        ({"event": {"of": "Pod/web-*", "reason": "BackOff"}}, True),
        ({"event": {"of": "Pod/web-*", "message": "^Back-off .* container$"}}, True),
        ({"event": {"of": "Pod/api-*", "reason": "BackOff"}}, False),
        ({"event": {"of": "Node/web-1", "reason": "BackOff"}}, False),
        ({"event": {"of": "Pod/web-1", "reason": "BackOff", "message": "liveness"}}, False),
        ({"event": {"of": "Pod/web-1", "reason": "BackOff", "namespace": "default"}}, False),
        ({"condition": {"of": "Pod/web-1", "type": "Ready", "status": "False"}}, True),
        ({"condition": {"of": "Pod/web-1", "type": "Ready", "status": "True"}}, False),
        ({"condition": {"of": "Pod/web-1", "type": "Ready", "status": "False", "reason": "Other"}}, False),
        ({"value": {"of": "Pod/web-1", "path": RESTARTS, "at_least": 3}}, True),
        ({"value": {"of": "Pod/web-1", "path": RESTARTS, "at_least": 4}}, False),
        ({"value": {"of": "Pod/web-1", "path": RESTARTS, "equals": 3}}, True),
        ({"value": {"of": "Pod/web-1", "path": "status.podIP", "absent": True}}, True),
        ({"value": {"of": "Pod/web-1", "path": RESTARTS, "absent": True}}, False),
        ({"value": {"of": "Pod/gone", "path": "status.podIP", "absent": True}}, False),
        ({"value": {"of": "Pod/web-1", "path": "status.conditions[0].reason", "matches": "NotReady$"}}, True),
        ({"log": {"of": "Pod/web-*", "previous": True, "matches": "^panic: "}}, True),
        ({"log": {"of": "Pod/web-*", "matches": "panic"}}, True),
        ({"log": {"of": "Pod/web-*", "previous": False, "matches": "panic"}}, False),
        ({"count": {"of": "Pod/web-*", "is": 1}}, True),
        ({"count": {"of": "Pod/web-*", "is": 0}}, False),
    ],
)
def test_predicates(predicate: dict[str, Any], holds: bool) -> None:
    assert (unseen([predicate], HELD, "ns") == []) is holds


def test_paths_reach_keys_with_dots_and_places_in_lists() -> None:
    held = {"a": {"b.c/d": [{"e": 1}, {"e": 2}, {"f": 3}]}}
    assert values(held, "a['b.c/d'][*].e") == [1, 2]
    assert values(held, "a['b.c/d'][1].e") == [2]
    assert values(held, "a['b.c/d'][7].e") == []
    assert values(held, "a.b.e") == []
