"""Label and field selectors, as the query strings of lists spell them. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

TERM = re.compile(r"(!)?\s*([^\s!=,()]+)\s*(?:(==|=|!=)\s*([^,\s]*)|\s+(in|notin)\s*\(([^)]*)\))?\s*$")


class BadSelector(ValueError):
    """A selector that no server would understand."""


def _terms(selector: str) -> list[str]:
    """Split at commas that are not within parentheses."""
    return [term.strip() for term in re.split(r",(?![^()]*\))", selector) if term.strip()]


def labels_match(selector: str, labels: Mapping[str, str]) -> bool:
    """`a=b,c!=d,e in (f,g),h,!i`"""
    return all(_label(term, labels) for term in _terms(selector))


def _label(term: str, labels: Mapping[str, str]) -> bool:
    match = TERM.match(term)
    if not match:
        raise BadSelector(f"unable to parse requirement: {term!r}")
    negated, key, operator, value, among, values = match.groups()
    if negated:
        return key not in labels
    if among:
        listed = {each.strip() for each in values.split(",")}
        return (labels.get(key) in listed) is (among == "in")
    if operator == "!=":
        return labels.get(key) != value
    return labels.get(key) == value if operator else key in labels


def fields_match(selector: str, each: Mapping[str, Any]) -> bool:
    """`metadata.name=a,status.phase!=Running`: a field that is not there is the empty string."""
    for term in _terms(selector):
        match = re.match(r"([^!=]+)(==|=|!=)(.*)$", term)
        if not match:
            raise BadSelector(f"invalid field selector: {term!r}")
        path, operator, wanted = match.groups()
        if (_field(each, path) == wanted) is (operator == "!="):
            return False
    return True


def _field(each: Any, path: str) -> str:
    for step in path.split("."):
        each = each.get(step) if isinstance(each, Mapping) else None
    return "" if each is None else str(each).lower() if isinstance(each, bool) else str(each)


__all__ = ["BadSelector", "fields_match", "labels_match"]
