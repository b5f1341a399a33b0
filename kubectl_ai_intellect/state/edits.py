"""Typed changes to declared objects: what a mend is made of, applied in memory to see what it would clear."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.kube.source import Object

Json = Any


class By(NamedTuple):
    """A step into a list: the item whose `key` has this value."""

    value: str | int
    key: str = "name"


class Append(NamedTuple):
    """A step that adds an item at a list's end."""


Step = str | int | By | Append


class _Remove:
    """The value that means: take the field away."""

    def __repr__(self) -> str:
        return "REMOVE"


REMOVE = _Remove()
Action = Literal["edit", "create", "delete", "rollback", "restart"]


@dataclass(frozen=True, slots=True)
class Edit:
    """One field to set, or to take away."""

    path: tuple[Step, ...]
    value: Json = REMOVE


@dataclass(frozen=True, slots=True)
class Patch:
    """A change to one object: edits to fields, or the object made, deleted, rolled back or restarted."""

    target: Ref
    edits: tuple[Edit, ...] = ()
    action: Action = "edit"
    body: Json = field(default=None, hash=False)  # create: the whole manifest; rollback: the revision, if one is meant


def set_field(target: Ref, *path: Step, value: Json) -> Patch:
    return Patch(target, (Edit(path, value),))


def remove_field(target: Ref, *path: Step) -> Patch:
    return Patch(target, (Edit(path),))


def container_path(spec_path: Iterable[Step], container: str, *rest: Step, init: bool = False) -> tuple[Step, ...]:
    """The path of a container's field under a pod spec at `spec_path`."""
    return (*spec_path, "initContainers" if init else "containers", By(container), *rest)


def applied(objects: dict[Ref, Object], patch: Patch) -> None:
    """Put a patch into a table of objects (a workload's edits reach only the declared template)."""
    target = patch.target.whole()
    if patch.action == "delete":
        objects.pop(target, None)
    elif patch.action == "create":
        objects[target] = Object(target, patch.body or {})
    elif patch.action == "edit" and target in objects:
        raw = copy.deepcopy(dict(objects[target].raw))
        for edit in patch.edits:
            change(raw, edit.path, edit.value)
        objects[target] = Object(target, raw)


def change(value: Json, path: tuple[Step, ...], new: Json) -> None:
    """Set or remove one field in JSON, making the maps on the way."""
    for step, following in zip(path[:-1], path[1:], strict=True):
        value = _into(value, step, following)
        if value is None:
            return
    last = path[-1]
    if isinstance(last, Append):
        value.append(copy.deepcopy(new))
    elif isinstance(last, By):
        items = [item for item in value if not (isinstance(item, dict) and item.get(last.key) == last.value)]
        value[:] = items if new is REMOVE else [*items, copy.deepcopy(new)]
    elif isinstance(last, int) and isinstance(value, list):
        if new is REMOVE:
            del value[last]
        else:
            value[last] = copy.deepcopy(new)
    elif new is REMOVE:
        value.pop(last, None)
    else:
        value[last] = copy.deepcopy(new)


def _into(value: Json, step: Step, following: Step) -> Json:
    if isinstance(step, By):
        return next((item for item in value if isinstance(item, dict) and item.get(step.key) == step.value), None)
    if isinstance(step, Append):
        value.append({})
        return value[-1]
    if isinstance(step, int):
        return value[step] if -len(value) <= step < len(value) else None
    if value.get(step) is None:
        value[step] = [] if isinstance(following, By | Append | int) else {}
    return value[step]


__all__ = [
    "REMOVE",
    "Action",
    "Append",
    "By",
    "Edit",
    "Patch",
    "Step",
    "applied",
    "change",
    "container_path",
    "remove_field",
    "set_field",
]
