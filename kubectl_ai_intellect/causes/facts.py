"""Facts as causes write them: each made from what was read, with the command that shows it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from kubectl_ai_intellect.causes.base import Fact
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, Read, get_of, list_of
from kubectl_ai_intellect.state.events import Event
from kubectl_ai_intellect.state.graph import State

if TYPE_CHECKING:
    from kubectl_ai_intellect.evidence.logs import LogDigest, LogHit


def field(found: Object | Ref, text: str) -> Fact:
    """A declared field or a status, in words that quote it: `spec.nodeSelector is disktype=ssd`."""
    at = found.ref if isinstance(found, Object) else found
    return Fact(text, at, get_of(at))


def told(event: Event) -> Fact:
    """An event, quoted."""
    times = f" (seen {event.count} times)" if event.count > 1 else ""
    fields = f"involvedObject.kind={event.about.kind},involvedObject.name={event.about.name}"
    read = list_of("Event", event.about.namespace, fields=fields)
    return Fact(f"event {event.reason}: {event.message}{times}", event.about, read, event.last)


def logged(container: Ref, hit: LogHit, *, previous: bool = False) -> Fact:
    """A decisive log line, quoted."""
    times = f" ({hit.count} times)" if hit.count > 1 else ""
    read = Read("logs", container, (("previous", "true"),) if previous else ())
    return Fact(f"log of {container.part}: {hit.line}{times}", container, read, hit.at)


def listed(kind: str, namespace: str, text: str) -> Fact:
    """Something a whole list shows: that nothing in it matches, or how many do."""
    return Fact(text, ref(kind, namespace, ""), list_of(kind, namespace))


def not_there(target: Ref) -> Fact:
    """An object that was looked for and is absent."""
    return Fact(f"{target.short} does not exist in namespace {target.namespace}" if target.namespace
                else f"{target.short} does not exist", target.whole(), get_of(target))  # fmt: skip


def logs(state: State, container: Ref) -> Iterable[tuple[LogDigest, bool]]:
    """The digested logs of a container that were read, the dead one's first; the flag says previous."""
    from kubectl_ai_intellect.kube.source import Unread

    for previous in (True, False):
        digest = state.log(container, previous=previous)
        if not isinstance(digest, Unread) and not digest.empty:
            yield digest, previous


def hits(state: State, container: Ref, *kinds: str) -> Sequence[tuple[LogHit, bool]]:
    """Log hits of these kinds, each once, with whether the previous container wrote it."""
    seen: set[tuple[str, str]] = set()
    found: list[tuple[LogHit, bool]] = []
    for digest, previous in logs(state, container):
        for hit in digest.of(*kinds):
            if (hit.kind, hit.line) not in seen:
                seen.add((hit.kind, hit.line))
                found.append((hit, previous))
    return found


__all__ = ["field", "hits", "listed", "logged", "logs", "not_there", "told"]
