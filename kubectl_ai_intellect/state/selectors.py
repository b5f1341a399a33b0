"""Label selectors, as the API server evaluates them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

_SET = re.compile(r"(?P<key>\S+)\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)", re.IGNORECASE)
_EQUAL = re.compile(r"(?P<key>[^\s!=]+)\s*(?P<operator>==|!=|=)\s*(?P<values>[^\s!=()]*)")
_KEY = re.compile(r"!?\s*[A-Za-z0-9][A-Za-z0-9._/-]*")


def matches(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool:
    """A LabelSelector (matchLabels, matchExpressions) against labels; an empty one matches everything, none nothing."""
    if selector is None:
        return False
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(expression_matches(each, labels) for each in selector.get("matchExpressions") or ())


def expression_matches(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    """One requirement; Gt and Lt are node selectors' own."""
    key, operator = expression.get("key", ""), expression.get("operator", "")
    values = expression.get("values") or []
    value = labels.get(key)
    if operator == "In":
        return value in values
    if operator == "NotIn":
        return value not in values
    if operator == "Exists":
        return value is not None
    if operator == "DoesNotExist":
        return value is None
    if operator in ("Gt", "Lt") and value is not None and values:
        try:
            return int(value) > int(values[0]) if operator == "Gt" else int(value) < int(values[0])
        except ValueError:
            return False
    return False


def equals(selector: Mapping[str, str] | None, labels: Mapping[str, str]) -> bool:
    """A map selector (a Service's, a ReplicationController's): an empty one selects nothing."""
    return bool(selector) and all(labels.get(key) == value for key, value in (selector or {}).items())


def parsed(text: str) -> Sequence[Mapping[str, Any]]:
    """The requirements of a selector as it stands after kubectl's -l; ValueError where it is none."""
    requirements: list[Mapping[str, Any]] = []
    for part in re.split(r",(?![^()]*\))", text):
        term = part.strip()
        found = _SET.fullmatch(term) or _EQUAL.fullmatch(term)
        if found:
            values = [each.strip() for each in found["values"].split(",")]
            negative = found["operator"].lower() in ("notin", "!=")
            requirements.append({"key": found["key"], "operator": "NotIn" if negative else "In", "values": values})
        elif _KEY.fullmatch(term):
            operator = "DoesNotExist" if term.startswith("!") else "Exists"
            requirements.append({"key": term.lstrip("! "), "operator": operator})
        else:
            raise ValueError(term)
    return requirements


__all__ = ["equals", "expression_matches", "matches", "parsed"]
