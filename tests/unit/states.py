"""States out of YAML, for the tests of pure code: every kind named counts as listed in full, all others as unread."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import yaml

from kubectl_ai_intellect.causes.needs import FIRST_LOOK
from kubectl_ai_intellect.evidence.logs import digest
from kubectl_ai_intellect.kube.refs import GROUP_OF, group_of, ref
from kubectl_ai_intellect.kube.source import Fetched, Read, Unread, list_of
from kubectl_ai_intellect.state.graph import State

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def state_of(
    text: str,
    *,
    logs: Mapping[str, str] | None = None,
    namespace: str = "shop",
    complete: Iterable[str] = (),
    forbidden: Iterable[str] = (),
    now: datetime = NOW,
) -> State:
    """A State of these documents. `logs`: "pod/container" or "pod/container previous" → text.
    `complete`: further kinds that were listed (and may be empty); `forbidden`: kinds that could not be."""
    by_kind: dict[tuple[str, str], list[dict]] = {
        (GROUP_OF.get(kind, ""), kind): [] for kind in (*FIRST_LOOK, *complete)
    }
    for document in yaml.safe_load_all(text):
        if document:
            by_kind.setdefault((group_of(document["apiVersion"]), document["kind"]), []).append(document)
    answers = [Fetched(list_of(kind, "", group=group), tuple(items)) for (group, kind), items in by_kind.items()]
    answers += [
        Fetched(list_of(kind, ""), unread=Unread(ref(kind, "", ""), "forbidden", f"cannot list {kind}"))
        for kind in forbidden
    ]
    for key, content in (logs or {}).items():
        where, _, previous = key.partition(" ")
        pod, _, name = where.partition("/")
        read = Read("logs", ref("Pod", namespace, pod, name), (("previous", "true"),) if previous else ())
        answers.append(Fetched(read, data=content.encode()))
    return State(now, namespace, "test", digest=digest).including(answers)
