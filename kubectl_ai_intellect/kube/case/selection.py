"""Label and field selectors, as far as the API understands them, applied to objects at hand."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from kubectl_ai_intellect.kube.source import dig

Json = Any
Test = Callable[[Mapping[str, Json]], bool]

_SET = re.compile(r"^(?P<key>[^\s!=(),]+)\s+(?P<op>in|notin)\s*\((?P<values>[^)]*)\)$")
_TERM = re.compile(r"[^,(]+(?:\([^)]*\))?")


def terms(selector: str) -> frozenset[str]:
    """A selector's requirements, each in one spelling: `a==b` is `a=b`."""
    found = (" ".join(match.group().split()) for match in _TERM.finditer(selector))
    return frozenset(re.sub(r"\s*(!?=)=?\s*", r"\1", term) for term in found if term)


def labelled(selector: str) -> Test:
    """Does an object carry these labels?"""
    tests = [_label_test(term) for term in terms(selector)]
    return lambda item: all(test(dig(item, "metadata", "labels", otherwise={})) for test in tests)


def _label_test(term: str) -> Callable[[Mapping[str, str]], bool]:
    if match := _SET.match(term):
        key = match["key"]
        values = {value.strip() for value in match["values"].split(",")}
        if match["op"] == "in":
            return lambda labels: labels.get(key) in values
        return lambda labels: labels.get(key) not in values
    if "!=" in term:
        key, _, value = term.partition("!=")
        return lambda labels: labels.get(key) != value
    if "=" in term:
        key, _, value = term.partition("=")
        return lambda labels: labels.get(key) == value
    if term.startswith("!"):
        return lambda labels: term[1:].strip() not in labels
    return lambda labels: term in labels


def fielded(selector: str) -> Test:
    """Do an object's fields have these values? A missing field is an empty string, as for the API."""
    tests = [_field_test(term) for term in terms(selector)]
    return lambda item: all(test(item) for test in tests)


def _field_test(term: str) -> Test:
    negated = "!=" in term
    path, _, value = term.partition("!=" if negated else "=")
    steps = path.strip().split(".")
    return lambda item: (_plain(dig(item, *steps)) == value) != negated


def _plain(value: Json) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)


__all__ = ["fielded", "labelled", "terms"]
