"""What a question's words say by themselves, before any object is looked at.

When in doubt it is a diagnosis: a wrong table is worse than a diagnosis that nobody needed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from kubectl_ai_intellect.kube.refs import BUILTIN, named
from kubectl_ai_intellect.question.vocabulary import (
    ACTIONS,
    CLUSTER_WORDS,
    COMPLAINT,
    EVERYDAY_KINDS,
    INFORMATION,
    INHERENT,
    OTHER_SUBJECTS,
    PLAIN_WORDS,
    TABLE_WORDS,
    TOPICS,
    TROUBLE,
    WHY,
)

Intent = Literal["diagnosis", "information", "action", "decline"]


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, taken apart."""

    text: str
    intent: Intent
    kind: str | None = None
    names: tuple[str, ...] = ()
    sure: frozenset[str] = frozenset()  # names that can be nothing else: quoted, KIND/NAME, or with a hyphen
    namespace: str | None = None
    everywhere: bool = False
    since: timedelta | None = None
    topics: frozenset[str] = frozenset()
    what: str = ""
    reason: str = ""


_NAMESPACE = re.compile(
    r"(?i)(?:(?:^|\s)-n[ =]|--namespace[= ]|\b(?:in|from|of|for|inside|within) (?:the |my )?(?:namespace|ns) |\bnamespace[ =:]+)"
    r"[\"'`]?([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)"
)
_NAMESPACE_AFTER = re.compile(
    r"(?i)\b(?:in|from|inside|within) (?:the )?[\"'`]?([a-z0-9](?:[a-z0-9-]*[a-z0-9])?)[\"'`]? (?:namespace|ns)\b"
)
_ELSEWHERE = re.compile(
    r"(?i)\b(?:works?|worked|fine|ok|okay|good|green|perfectly) (?:in|on) (?:the )?(?:namespace |ns )?"
    r"[\"'`]?[a-z0-9-]+[\"'`]?(?: namespace| ns)?(?=[,.;!?]|$)"
)
"""A place that is named for comparison: "works in the staging namespace"."""
_EVERYWHERE = re.compile(
    r"(?i)\b(?:all|any|each|every|across) (?:the |my )?namespaces?\b|\b(?:whole|entire|this|my|the) cluster\b|\bcluster[- ]wide\b|(?:^|\s)(?:-A|--all-namespaces)\b"
)
_SINCE = re.compile(
    r"(?i)\b(?:since|in the (?:last|past)|within the (?:last|past)|over the last|for the last|last) (\d+)? ?(second|minute|min|hour|hr|day|week|s|m|h|d)s?\b"
)
_YESTERDAY = re.compile(r"(?i)\bsince yesterday\b|\blast night\b|\byesterday\b")
_TODAY = re.compile(r"(?i)\b(?:today|this morning|this afternoon)\b")
_NAMESPACES = re.compile(r"\b(?:list|show|get|how many|which|what|count|number of)\b.*\b(?:namespaces|ns)\b")
_QUOTED = re.compile(r"[\"'`]([a-z0-9][a-z0-9./-]{1,100})[\"'`]")
_SLASHED = re.compile(r"\b([A-Za-z]{2,})/([a-z0-9][a-z0-9.-]*[a-z0-9]|[a-z0-9])")
_TOKEN = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_NEGATED = re.compile(r"(?i)\b\w+n['’]t\b")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def understand(text: str) -> Asked:
    """Take a question apart."""
    lowered = text.lower()
    intent, what, reason = _intent(lowered)
    text_as_asked, text = text, _NEGATED.sub(" ", text)  # "don't" names no object called "don"
    sure = dict.fromkeys([*_QUOTED.findall(text), *(name for kind, name in _SLASHED.findall(text) if named(kind))])
    sure.update(dict.fromkeys(word.lower() for word in _TOKEN.findall(text) if _is_hyphenated(word)))
    here = _ELSEWHERE.sub(" ", text)
    namespace = _NAMESPACE.search(here) or _NAMESPACE_AFTER.search(here)
    where = namespace.group(1).lower() if namespace and namespace.group(1).lower() not in PLAIN_WORDS else None
    names = [name.lower() for name in (*sure, *_words(text)) if name.lower() != where]
    if intent == "information":
        names = [name for name in names if name in sure or name not in TABLE_WORDS]
    return Asked(
        text=text_as_asked,
        intent=intent,
        kind=_kind(text) or ("Namespace" if intent == "information" and _NAMESPACES.search(lowered) else None),
        names=tuple(dict.fromkeys(names)),
        sure=frozenset(name.lower() for name in sure) - {where},
        namespace=where,
        everywhere=bool(_EVERYWHERE.search(text)),
        since=_since(text),
        topics=frozenset(topic for topic, pattern in TOPICS.items() if pattern.search(lowered)),
        what=what,
        reason=reason,
    )


def _is_hyphenated(word: str) -> bool:
    lowered = word.lower()
    return (
        "-" in word
        and lowered not in PLAIN_WORDS
        and bool(re.search(r"[a-z]", lowered))
        and not all(part in PLAIN_WORDS for part in lowered.split("-"))
    )


def _words(text: str) -> Iterator[str]:
    """Words that may be a name, as they stand: everything that is not plain English or a kind of Kubernetes itself."""
    for word in _TOKEN.findall(text):
        lowered = word.lower().removesuffix("'s")
        kind = named(lowered)  # "orders" may be cert-manager's, but a shop has a Service of that name
        is_name = kind is None or (kind.group, kind.kind) not in BUILTIN
        if len(lowered) > 1 and lowered not in PLAIN_WORDS and is_name and not lowered.isdigit():
            yield lowered


def _kind(text: str) -> str | None:
    """The kind the words name: before a slash first, then anywhere; `jobs` or `pods` too."""
    for kind, _ in _SLASHED.findall(text):
        found = named(kind)
        if found:
            return found.kind
    for word in _TOKEN.findall(text):
        found = named(word) if len(word) > 2 and word.lower() not in ("events", "event", "no", "limits") else None
        if found and found.kind not in ("Namespace",):
            return found.kind
    return next((kind for kind, words in EVERYDAY_KINDS.items() if words.search(text.lower())), None)


def _since(text: str) -> timedelta | None:
    match = _SINCE.search(text)
    if match:
        return timedelta(seconds=int(match.group(1) or 1) * _UNITS[match.group(2)[0].lower()])
    if _YESTERDAY.search(text):
        return timedelta(days=1)
    return timedelta(hours=12) if _TODAY.search(text) else None


def _intent(lowered: str) -> tuple[Intent, str, str]:
    words = re.findall(r"[a-z0-9'-]+", lowered)
    if not words:
        return "decline", "", "ask something about the cluster, for example: why is my pod crashing"
    trouble = bool(TROUBLE.search(lowered))
    what = "" if WHY.search(lowered) else _information(lowered, trouble)
    if what:
        return "information", what, ""
    action = "" if trouble and _complains(lowered) else _action(lowered)
    if action:
        return "action", "", action
    if _greeting(words):
        return "decline", "", "this tool answers questions about a Kubernetes cluster; try: why is my pod crashing"
    known = trouble or CLUSTER_WORDS.search(lowered) or any(pattern.search(lowered) for pattern in TOPICS.values())
    if not known and _not_ours(words):
        return "decline", "", "that is not about a Kubernetes cluster; try: why is my pod crashing"
    return "diagnosis", "", ""


def _information(lowered: str, trouble: bool) -> str:
    """The form of table that is asked for; words of trouble leave only the forms that are about trouble."""
    for what, pattern in INFORMATION.items():
        found = pattern.search(lowered)
        if found and (not trouble or what in INHERENT or (what == "changes" and found.start() == 0)):
            return what
    return ""


_IMPERATIVE = re.compile(r"^\s*(?:please |can you |could you |now )*[a-z]+(?: ?back)? ")
_OF_TROUBLE = re.compile(
    r"\b(?:failed|failing|broken|crashing|dead|evicted|unhealthy|crashed) (?=(?:\S+ )?(?:pods?|jobs?|deployments?)\b)"
)


def _complains(lowered: str) -> bool:
    """Whether there is trouble beyond the verb of an order and the adjective of its object."""
    return bool(TROUBLE.search(_OF_TROUBLE.sub("", _IMPERATIVE.sub("", lowered))))


def _action(lowered: str) -> str:
    """The reason why an order is not carried out, where the words are an order and no story."""
    if COMPLAINT.search(_IMPERATIVE.sub("", lowered)):
        return ""
    plain = _OF_TROUBLE.sub("", lowered)
    return next((reason for pattern, reason in ACTIONS if pattern.search(plain)), "")


def _greeting(words: list[str]) -> bool:
    return (
        len(words) <= 4
        and words[0] in ("hi", "hello", "hey", "thanks", "thank", "bye", "yo", "test", "greetings")
        and not any(named(word) for word in words)
    )


def _not_ours(words: list[str]) -> bool:
    """Another subject, or letters that form no words. Plain prose about orders or reports is about what runs here."""
    if any("-" in word or any(letter.isdigit() for letter in word) for word in words):
        return False
    vowelless = [word for word in words if len(word) > 4 and not re.search(r"[aeiouy]", word)]
    return 2 * len(vowelless) >= len(words) or bool(OTHER_SUBJECTS.search(" ".join(words)))


__all__ = ["Asked", "Intent", "understand"]
