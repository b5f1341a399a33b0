"""From the words so far to what may come next."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kubectl_ai_intellect.completing.asked import Kubectl
from kubectl_ai_intellect.completing.grammar import ASKING, COMMANDS, GLOBAL, GROUPS, Action, Slots
from kubectl_ai_intellect.completing.values import values
from kubectl_ai_intellect.kube.refs import KNOWN, Resource, named

NO_SPACE, NO_FILES, FILES, FILTER_EXTENSION, ONLY_DIRECTORIES = 2, 4, 0, 8, 16
"""cobra's directives to the shell."""
ESCAPES = {ord("\n"): " ", ord("\t"): " ", **dict.fromkeys((*range(9), *range(11, 32), 127))}


@dataclass(frozen=True, slots=True)
class Reply:
    """Choices, each with an explanation after a tab where it has one, and cobra's directive."""

    choices: tuple[str, ...]
    directive: int = NO_FILES

    def printed(self) -> str:
        return "".join(f"{each}\n" for each in self.choices) + f":{self.directive}\n"


def complete(words: Sequence[str], asking: Slots = ASKING) -> Reply:
    """What the last word may become; it is empty where none was begun. `asking`: the flags of a question."""
    *before, current = words or [""]
    kubectl = _kubectl(before, asking)
    action, plain, forced = _position(before, asking)
    flags = _flags(action, asking)
    if before and not forced and (slot := flags.get(before[-1])):
        return _of_slot(slot, current, kubectl)
    if current.startswith("-") and not forced:
        name, equals, value = current.partition("=")
        if equals:
            return _of_slot(flags.get(name) or "none", value, kubectl)
        return _fitting((each for each in flags if len(each) > 2 or current == each), current)
    if not plain and not forced:
        return _first(current, kubectl)
    if action is not None:
        at = len(plain) - (2 if plain[0] in GROUPS else 1)
        return _of_slot(action.words[at] if at < len(action.words) else "none", current, kubectl)
    if len(plain) == 1 and plain[0] in GROUPS and not forced:
        return _fitting((f"{name}\t{each.says}" for name, each in GROUPS[plain[0]][1].items()), current)
    return _in_question(plain, current, kubectl)


def _position(before: Sequence[str], asking: Slots) -> tuple[Action | None, list[str], bool]:
    """The command that stands there (none for a question), the words without flags, and whether `--` went before."""
    plain: list[str] = []
    action: Action | None = None
    skip = False
    for number, word in enumerate(before):
        if skip:
            skip = False
        elif word == "--":
            return None, [*plain, *before[number + 1 :]], True
        elif word.startswith("-") and len(word) > 1:
            skip = bool(_flags(action, asking).get(word))
        else:
            plain.append(word)
            action = _action(plain) or (action if len(plain) > 1 else None)
    return action, plain, False


def _action(plain: Sequence[str]) -> Action | None:
    if len(plain) == 1:
        return COMMANDS.get(plain[0])
    if len(plain) == 2 and plain[0] in GROUPS:
        return GROUPS[plain[0]][1].get(plain[1])
    return None


def _flags(action: Action | None, asking: Slots) -> Slots:
    if action is None:
        return asking
    return {**asking, **action.flags} if action.asks else action.flags


def _kubectl(before: Sequence[str], asking: Slots) -> Kubectl:
    """kubectl with the global flags that were given."""
    scope: list[str] = []
    kubeconfig = ""
    rest = list(before)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition("=")
        if word == "--":
            break
        if asking.get(name) and not equals:
            if not rest:
                break
            value = rest.pop(0)
        if name not in GLOBAL:
            continue
        kubeconfig = value if name == "--kubeconfig" else kubeconfig
        scope.append(f"{name}={value}" if GLOBAL[name] else word)
    return Kubectl(scope, kubeconfig)


def _first(current: str, kubectl: Kubectl) -> Reply:
    """Commands and kinds; anything else is a question, for which there is nothing to offer."""
    if "/" in current:
        return _objects(current, kubectl)
    commands = [f"{name}\t{each.says}" for name, each in COMMANDS.items()]
    commands += [f"{name}\t{says}" for name, (says, _) in GROUPS.items()]
    kinds = _kinds(current, kubectl) if current else []
    return _fitting([*commands, *kinds], current)


def _kinds(current: str, kubectl: Kubectl) -> list[str]:
    """The kinds that begin so, as `kind/`; ours first, and the cluster's custom ones where none of ours does."""
    ours = [f"{each.kind.lower()}/" for each in KNOWN.values() if each.group != "metrics.k8s.io"]
    fitting = [each for each in dict.fromkeys(ours) if each.startswith(current)]
    if fitting or any(name.startswith(current) for name in (*COMMANDS, *GROUPS)):
        return fitting
    return [f"{each}/" for each in kubectl.complete("get") if "." in each]


def _in_question(plain: Sequence[str], current: str, kubectl: Kubectl) -> Reply:
    """Inside a question: KIND/NAME, or a name after a kind."""
    if "/" in current:
        return _objects(current, kubectl)
    kind = named(plain[-1]) if plain and len(plain[-1]) > 1 else None
    if kind is not None:
        return _fitting(_names(kind.argument, kubectl), current)
    kinds = [f"{each.kind.lower()}/" for each in KNOWN.values() if each.group != "metrics.k8s.io"]
    return _fitting(dict.fromkeys(kinds) if current else (), current)


def _objects(current: str, kubectl: Kubectl) -> Reply:
    word = current.partition("/")[0]
    kind: Resource | None = named(word) if "." not in word else None
    names = _names(kind.argument if kind else word, kubectl)
    return _fitting((f"{word}/{name}" for name in names), current)


def _names(resource: str, kubectl: Kubectl) -> list[str]:
    if resource.startswith("-"):
        return []
    return kubectl.complete("get", resource)


def _of_slot(slot: str, current: str, kubectl: Kubectl) -> Reply:
    if slot == "file":
        return Reply((), FILES)
    if slot == "model-file":
        return Reply(("gguf",), FILTER_EXTENSION)
    if slot == "directory":
        return Reply((), ONLY_DIRECTORIES)
    return _fitting(values(slot, kubectl), current)


def _fitting(choices: Iterable[str], current: str) -> Reply:
    """The choices that begin as the word does; no space after one that wants more to follow."""
    fitting = tuple(line for each in choices if (line := _one_line(each)).startswith(current))
    more = bool(fitting) and all(each.partition("\t")[0].endswith(("/", ":")) for each in fitting)
    return Reply(fitting, NO_FILES | NO_SPACE if more else NO_FILES)


def _one_line(choice: str) -> str:
    """A name from a cluster or a file may hold anything; the protocol's line and tab, and the terminal, are ours."""
    word, tab, says = choice.partition("\t")
    return word.translate(ESCAPES) + tab + says.translate(ESCAPES)


__all__ = ["Reply", "complete"]
