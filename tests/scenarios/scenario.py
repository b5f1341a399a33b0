"""Scenario files: found, read, checked against the schema line by line, bound to a namespace.

`{namespace}` and `{suffix}` in a file stand for what is drawn when it is staged, wherever they appear.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import yaml

HERE = Path(__file__).parent
Json = dict[str, Any]

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ScenarioError(Exception):
    """A scenario file that is not one: one line per mistake, each with its file and line."""


STAGED = ("namespace", "needs", "isolation", "manifests", "simulated", "until", "then")
"""The keys that decide what stands on the cluster."""


@dataclass(frozen=True)
class Scenario:
    """A scenario as written, and as bound once a namespace is drawn for it."""

    name: str
    path: Path
    text: str
    data: Mapping[str, Any]

    @property
    def question(self) -> str:
        return self.data["question"]

    @property
    def needs(self) -> str:
        return self.data["needs"]

    @property
    def large(self) -> bool:
        """Whether it is too large to be staged in each run: its recording is asked in every one."""
        return bool(self.data.get("large"))

    @property
    def alone(self) -> bool:
        """Whether it is a fault of the whole cluster, which no other scenario may be staged beside."""
        return self.data.get("isolation") == "cluster"

    @property
    def expect(self) -> Mapping[str, Any]:
        return self.data["expect"]

    @property
    def digest(self) -> str:
        """Of all that decides what is staged: a recording bears that of the scenario it was made of."""
        staged: Json = {key: self.data.get(key) for key in STAGED}
        if self.data.get("as"):  # decides how much of it is seen
            staged["as"] = self.data["as"]
        return hashlib.sha256(json.dumps(staged, sort_keys=True, default=str).encode()).hexdigest()[:12]

    def bound(self, suffix: str = "") -> Bound:
        """The scenario with a namespace of its own, or as it was bound with that suffix."""
        suffix = suffix or secrets.token_hex(3)
        namespace = f"{self.data['namespace']}-{suffix}"
        text = self.text.replace("{namespace}", namespace).replace("{suffix}", suffix)
        return Bound(self, namespace, suffix, yaml.load(text, _Loader))


@dataclass(frozen=True)
class Bound:
    """What is really staged."""

    scenario: Scenario
    namespace: str
    suffix: str
    data: Mapping[str, Any]

    @property
    def manifests(self) -> list[Json]:
        return objects(self.data["manifests"])

    @property
    def expect(self) -> Mapping[str, Any]:
        return self.data["expect"]

    @property
    def asker(self) -> str:
        """Who asks, where it is not the cluster's owner."""
        return self.data.get("as", "")


def objects(manifests: str | list[Json]) -> list[Json]:
    """Manifests, written as one text of several documents or as a list."""
    if isinstance(manifests, list):
        return manifests
    return [each for each in yaml.load_all(manifests, _Loader) if each]


def load(path: Path, root: Path = HERE) -> Scenario:
    """One scenario file, checked."""
    text = path.read_text()
    try:
        node = yaml.compose(text, _Loader)
        data = yaml.load(text, _Loader)
    except yaml.YAMLError as problem:
        raise ScenarioError(_yaml_problem(path, problem)) from None
    mistakes = sorted(_validator().iter_errors(data), key=lambda each: [str(part) for part in each.absolute_path])
    lines = [f"{path}:{_line(node, each.absolute_path)}: {_say(each)}" for each in mistakes]
    if not lines:
        lines = [f"{path}:{line}: {words}" for line, words in _manifest_mistakes(data, node)]
    if lines:
        raise ScenarioError("\n".join(lines))
    return Scenario(str(path.relative_to(root).with_suffix("")), path, text, data)


def find(root: Path = HERE) -> list[Scenario]:
    """Every scenario there is, in the order of its name; the mistakes of all files are told at once."""
    found, wrong = [], []
    for path in sorted(root.glob("*/*.yaml")):
        try:
            found.append(load(path, root))
        except ScenarioError as problem:
            wrong.append(str(problem))
    if wrong:
        raise ScenarioError("\n".join(wrong))
    return found


@cache
def _validator() -> jsonschema.protocols.Validator:
    schema = json.loads((HERE / "schema.json").read_text())
    return jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker(["regex"]))


def _say(mistake: jsonschema.ValidationError) -> str:
    where = ".".join(str(part) for part in mistake.absolute_path)
    return f"{where}: {mistake.message}" if where else mistake.message


def _yaml_problem(path: Path, problem: yaml.YAMLError) -> str:
    mark = getattr(problem, "problem_mark", None)
    words = getattr(problem, "problem", None) or str(problem)
    return f"{path}:{mark.line + 1 if mark else 1}: not YAML: {words}"


def _line(node: yaml.Node | None, path: Iterable[str | int]) -> int:
    """The line on which what the path leads to begins, or the last step that is there."""
    line = 1
    for part in path:
        node = _child(node, part)
        if node is None:
            break
        line = node.start_mark.line + 1
    return line


def _child(node: yaml.Node | None, part: str | int) -> yaml.Node | None:
    if isinstance(node, yaml.MappingNode):
        return next((value for key, value in node.value if key.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part]
    return None


def _manifest_mistakes(data: Json, root: yaml.Node | None) -> Iterable[tuple[int, str]]:
    """Mistakes in manifests that are written as text, which the schema does not see into."""
    texts: list[tuple[list[str | int], Any]] = [(["manifests"], data["manifests"])]
    texts += [(["simulated", "stages"], (data.get("simulated") or {}).get("stages"))]
    texts += [(["then", n, "apply"], step.get("apply")) for n, step in enumerate(data.get("then") or ())]
    for path, text in texts:
        if isinstance(text, str):
            # The text of a block begins on the line after the one that announces it.
            before = _line(root, path) + 1
            yield from ((before + line, f"{path[0]}: {words}") for line, words in _text_mistakes(text))


def _text_mistakes(text: str) -> Iterable[tuple[int, str]]:
    try:
        nodes = [node for node in yaml.compose_all(text, _Loader) if isinstance(node, yaml.MappingNode)]
    except yaml.YAMLError as problem:
        mark = getattr(problem, "problem_mark", None)
        yield mark.line if mark else 0, f"not YAML: {getattr(problem, 'problem', problem)}"
        return
    for node in nodes:
        lacking = [key for key in ("apiVersion", "kind", "metadata") if _child(node, key) is None]
        if not lacking and _child(_child(node, "metadata"), "name") is None:
            lacking = ["metadata.name"]
        if lacking:
            yield node.start_mark.line, f"a document lacks {', '.join(lacking)}"


__all__ = ["Bound", "Scenario", "ScenarioError", "find", "load", "objects"]
