"""What of a model's answer is believed: nothing that is not on the board, not cited, or about something else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from kubectl_ai_intellect.causes.base import Fact, Finding
from kubectl_ai_intellect.evidence.redact import clean, redact
from kubectl_ai_intellect.investigate.scope import around
from kubectl_ai_intellect.investigate.thinking.board import Board
from kubectl_ai_intellect.kube.refs import Ref
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.relations import Relation, near, owner_refs, workload_of


class Refused(Exception):
    """Why an answer is not taken; the model is told so once."""


_COMMAND = re.compile(
    r"\b(?:kubectl|crictl|sudo|curl|wget|eval|chmod|chown|systemctl)\b|\brm\s+-|\w+://|[`|]|\$[({]|&&|(?:^|\s)--?[a-z]"
    r"|\b(?:helm|docker|istioctl|argocd|flux|kustomize|bash|sh)\s+(?:-|install|upgrade|rollback|uninstall|run|exec|apply"
    r"|build|sync|suspend|resume|delete)",
    re.IGNORECASE,
)
_ADVICE = re.compile(
    r"^\W*(?:please|run|execute|type|delete|remove|apply|patch|disable|enable|scale|restart|drain|cordon|edit|set|grant"
    r"|install|download|visit|open|contact|ignore|forget|disregard|use|try|make sure|ensure|add|create|increase)\b"
    r"|\byou (?:should|must|need|can|have to|may)\b|\b(?:should|must|needs? to) be (?:deleted|removed|run|disabled|granted)\b"
    r"|\b(?:to fix|the fix is|previous instructions|system prompt)\b",
    re.IGNORECASE,
)
_NOISE = re.compile(r"[{}\\]|([^\s\d])\1{3}")
_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_-]{3,}")
STOP_WORDS = frozenset(
    [
        "this",
        "that",
        "with",
        "from",
        "have",
        "been",
        "which",
        "because",
        "when",
        "will",
        "there",
        "their",
        "cause",
        "caused",
        "causes",
        "container",
        "pods",
        "does",
        "cannot",
        "could",
        "error",
        "failed",
        "failing",
        "fails",
        "kubernetes",
        "cluster",
        "object",
    ]
)


def circle(state: State, at: Ref) -> set[Ref]:
    """The objects that stand in some relation to one: those it is reasonable to cite for it."""
    at = at.whole()
    key = ("circle", at)
    if key not in state.memo:
        workload = workload_of(state, at)
        found = {at, workload, *around(state, at), *around(state, workload)}
        for place in (at, workload):
            found.update(owner_refs(state, place))
            for relation in Relation:
                if relation not in (Relation.EVERYWHERE, Relation.SAME):
                    found.update(each.whole() for back in (False, True) for each in near(state, place, relation, back))
        state.memo[key] = found
    return state.memo[key]


def related(state: State, one: Ref, other: Ref) -> bool:
    """Whether a fact about one object says something of the other."""
    one, other = one.whole(), other.whole()
    if not one.name:  # a whole list: of the same namespace, or of the cluster
        return one.namespace in ("", other.namespace)
    return one in circle(state, other) or other in circle(state, one)


def cited(board: Board, names: Sequence[str]) -> list[Fact]:
    """The facts behind citations; all of them must be on the board."""
    unknown = [name for name in names if name not in board.facts]
    if unknown or not names:
        raise Refused(f"there is no fact {', '.join(unknown)}" if unknown else "nothing is cited")
    return [board.facts[name] for name in dict.fromkeys(names)]


def candidate(state: State, board: Board, name: str, cites: Sequence[str]) -> Finding:
    """The candidate that was chosen, if it is live and a citation is about it."""
    finding = board.candidates.get(name)
    if finding is None:
        raise Refused(f"there is no candidate {name}")
    if name in board.gone or finding.strength == "refuted":
        against = [
            board.numbers[fact.text, fact.of] for fact in finding.refutes if (fact.text, fact.of) in board.numbers
        ]
        raise Refused(f"{name} is ruled out" + (f" by {', '.join(against)}" if against else ""))
    facts = cited(board, cites)
    own = {(fact.text, fact.of) for fact in finding.supports}
    if not any((fact.text, fact.of) in own or related(state, fact.of, finding.object) for fact in facts):
        raise Refused(f"{', '.join(cites)} are not about {finding.object.short}")
    return finding


def other(state: State, board: Board, text: str, cites: Sequence[str], proved: Iterable[Finding]) -> tuple[str, Ref]:
    """A cause in the model's own words and the object it is at: grounded in what it cites, and only a statement."""
    facts = cited(board, cites)
    at = facts[0].of.whole()
    if not at.name:
        raise Refused(f"{cites[0]} is about no single object; cite first a fact about the object at fault")
    at = workload_of(state, at) if at.kind in ("Pod", "ReplicaSet") else at
    statement = plain(text)
    if not all(related(state, fact.of, at) for fact in facts):
        raise Refused(f"not all of {', '.join(cites)} are about {at.short}")
    if not shared(statement, [(fact.text, fact.of.name) for fact in facts]):
        raise Refused(f"{', '.join(cites)} do not say that")
    for finding in proved:
        if finding.object.whole() in (at, facts[0].of.whole()):
            raise Refused(f"it is proved that {finding.says}")
    return statement, at


def plain(text: str) -> str:
    """A statement for people: one line, nothing that could be run."""
    line = " ".join(clean(redact(text)).split()).rstrip(". ")
    if len(line) < 12 or " " not in line:
        raise Refused("that is no sentence")
    if _NOISE.search(line):
        raise Refused("that is no sentence")
    if _COMMAND.search(line) or _ADVICE.search(line):
        raise Refused("that is no statement of what is: no commands, no advice, no addresses")
    return line[:1].upper() + line[1:]


def shared(text: str, facts: Iterable[tuple[str, str]]) -> bool:
    """Whether a text has a word of substance in common with the facts (text and object's name) that it cites."""
    stems = {word[:5] for fact in facts for word in _words(" ".join(fact))}
    return any(word[:5] in stems for word in _words(text))


def _words(text: str) -> Iterable[str]:
    return (word for word in _WORD.findall(text.lower()) if word not in STOP_WORDS)


__all__ = ["Refused", "candidate", "circle", "cited", "other", "plain", "related", "shared"]
