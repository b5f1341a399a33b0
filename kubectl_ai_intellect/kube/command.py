"""Diagnostic commands as values: kubectl's words parsed into what may be run, or a reason why not.

What is run is printed from the parsed value, never the text that was given, so that no spelling means one thing
to us and another to kubectl. Nothing here runs anything.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubectl_ai_intellect.kube import grammar
from kubectl_ai_intellect.kube.grammar import Flag
from kubectl_ai_intellect.kube.refs import KNOWN, Ref, named
from kubectl_ai_intellect.kube.source import Read


@dataclass(frozen=True, slots=True)
class Command:
    """A kubectl command that only looks. `resource` is the type as typed, `names` the objects of it."""

    verb: str
    resource: str = ""
    names: tuple[str, ...] = ()
    flags: tuple[tuple[str, str], ...] = ()

    def flag(self, name: str, otherwise: str = "") -> str:
        return dict(self.flags).get(name, otherwise)

    @property
    def namespace(self) -> str:
        return self.flag("namespace")

    @property
    def argv(self) -> tuple[str, ...]:
        """The words after `kubectl`, in the one spelling that we use."""
        words = [*self.verb.split(), *([self.resource] if self.resource else []), *self.names]
        for name, value in self.flags:
            if name == "namespace":
                words += ["-n", value]
            elif name == "all-namespaces":
                words.append("-A" if value == "true" else "--all-namespaces=false")
            else:
                words.append(f"--{name}" if value == "true" else f"--{name}={value}")
        return tuple(words)

    def __str__(self) -> str:
        return shlex.join(("kubectl", *self.argv))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a command is not run."""

    reason: str

    def __bool__(self) -> bool:
        return False


class _Refused(Exception):
    """Carries the reason out of the parser."""


def parse(words: str | Sequence[str]) -> Command | Refusal:
    """A command line, or its arguments, as a command that only looks; anything else is refused."""
    try:
        return _parsed(_split(words))
    except _Refused as refused:
        return Refusal(str(refused))


def _split(words: str | Sequence[str]) -> list[str]:
    text = words if isinstance(words, str) else "".join(words)
    if any(not " " <= character <= "~" for character in text):
        raise _Refused("only plain ASCII on one line is understood")
    if not isinstance(words, str):
        return list(words)
    lexer = shlex.shlex(words, posix=True, punctuation_chars=True)  # a pipe or redirect is a word of its own
    lexer.whitespace_split = True
    lexer.commenters = ""
    try:
        return list(lexer)
    except ValueError:
        raise _Refused("a quotation mark is not closed") from None


def _parsed(words: list[str]) -> Command:
    if words and words[0] == "kubectl":
        words = words[1:]
    elif words and ("/" in words[0] or "=" in words[0] or words[0].startswith("kubectl")):
        raise _Refused("only kubectl itself is run, by its plain name and without settings before it")
    if not words:
        raise _Refused("there is no command")
    verb, rest = _verb(words)
    arguments, flags = _arguments(rest, verb)
    command = _shaped(verb, arguments, flags)
    _check_secrets(command)
    return command


def _verb(words: list[str]) -> tuple[str, list[str]]:
    """The verb, wherever global flags before it have put it, and all other words."""
    position, flags = 0, {flag.name: flag for flag in grammar.VERBS["get"]}
    while position < len(words) and words[position].startswith("-"):
        position += _flag_width(words, position, flags)
    if position >= len(words):
        raise _Refused("there is no command")
    verb = grammar.ALIASES.get(words[position], words[position])
    before, after = words[:position], words[position + 1 :]
    if verb in grammar.TWO_WORDS:
        if not after or after[0].startswith("-") or f"{verb} {after[0]}" not in grammar.VERBS:
            raise _Refused(f"of {verb} only {_choices(verb)} is run: the rest is not a read")
        verb, after = f"{verb} {after[0]}", after[1:]
    if verb not in grammar.VERBS:
        known = "changes things or starts something" if verb in grammar.CHANGING else "is not a read that we know"
        raise _Refused(f"{_brief(verb)} {known}")
    return verb, [*before, *after]


def _choices(verb: str) -> str:
    return " and ".join(name.partition(" ")[2] for name in grammar.VERBS if name.startswith(f"{verb} "))


def _brief(word: str) -> str:
    return word if len(word) <= 40 else f"{word[:37]}..."


def _flag_width(words: list[str], position: int, flags: Mapping[str, Flag]) -> int:
    """How many words the flag at this position takes; it must be one that we know."""
    pairs, used = _flag(words, position, flags)
    return used if pairs else 1


def _arguments(words: list[str], verb: str) -> tuple[list[str], dict[str, str]]:
    flags = {flag.name: flag for flag in grammar.VERBS[verb]}
    arguments: list[str] = []
    given: dict[str, str] = {}
    position = 0
    while position < len(words):
        if not words[position].startswith("-") or words[position] == "-":
            arguments.append(words[position])
            position += 1
            continue
        pairs, used = _flag(words, position, flags)
        for name, value in pairs:
            if name in given and given[name] != value:
                raise _Refused(f"--{name} is given twice")
            given[name] = value
        position += used
    return arguments, given


def _flag(words: list[str], position: int, flags: Mapping[str, Flag]) -> tuple[list[tuple[str, str]], int]:
    """The flags that one word holds, as kubectl would read them, and how many words they take."""
    word = words[position]
    if word == "--":
        raise _Refused("nothing may follow a bare --")
    following = words[position + 1] if position + 1 < len(words) else None
    if word.startswith("--"):
        name, equals, value = word[2:].partition("=")
        flag = flags.get(name)
        if flag is None:
            raise _Refused(_why_not(name))
        if flag.value is None:
            return [(name, _checked(flag, value if equals else "true"))], 1
        if equals:
            return [(name, _checked(flag, value))], 1
        return [(name, _checked(flag, following))], 2
    return _letters(word[1:], following, {flag.letter: flag for flag in flags.values() if flag.letter})


def _letters(letters: str, following: str | None, flags: Mapping[str, Flag]) -> tuple[list[tuple[str, str]], int]:
    """`-A`, `-n shop`, `-nshop`, `-n=shop` and `-Aowide`."""
    found: list[tuple[str, str]] = []
    while letters:
        flag = flags.get(letters[0])
        if flag is None:
            raise _Refused(_why_not(letters[0]))
        rest = letters[1:]
        if flag.value is not None:
            if rest:
                return [*found, (flag.name, _checked(flag, rest.removeprefix("=")))], 1
            return [*found, (flag.name, _checked(flag, following))], 2
        if rest.startswith("="):
            return [*found, (flag.name, _checked(flag, rest[1:]))], 1
        found.append((flag.name, "true"))
        letters = rest
    return found, 1


def _checked(flag: Flag, value: str | None) -> str:
    form = flag.value or grammar.BOOLEAN
    if value is None:
        raise _Refused(f"--{flag.name} needs a value")
    if not form.match(value):
        raise _Refused(f"--{flag.name} may not be {_brief(value)!r}")
    return value


def _why_not(name: str) -> str:
    dashed = f"--{name}" if len(name) > 1 else f"-{name}"
    plain = name.replace("_", "-").lower()
    if plain in grammar.IDENTITY or plain.startswith(grammar.IDENTITY_PREFIXES) or name in grammar.IDENTITY_LETTERS:
        return f"{_brief(dashed)} would change who or where we are"
    if plain in grammar.ENDLESS or name in ("w", "f"):
        return f"{dashed} would never end, or reads a file"
    if plain in grammar.FILES:
        return f"{dashed} reaches around the read grammar"
    return f"{_brief(dashed)} is not a flag of this read"


def _shaped(verb: str, arguments: list[str], flags: dict[str, str]) -> Command:
    """The arguments as this verb understands them."""
    ordered = tuple(sorted(flags.items(), key=lambda pair: (pair[0] not in ("namespace", "all-namespaces"), pair[0])))
    if verb in ("get", "describe", "rollout status", "rollout history"):
        return _of_objects(verb, arguments, _not_waiting(verb, ordered))
    if verb == "logs":
        return _of_logs(arguments, ordered)
    if verb == "top":
        if not arguments or arguments[0] not in ("pod", "pods", "po", "node", "nodes", "no"):
            raise _Refused("top shows pods or nodes")
        return Command(verb, arguments[0], _names(arguments[1:]), ordered)
    if verb == "explain":
        if len(arguments) != 1 or not grammar.FIELD_PATH.match(arguments[0]):
            raise _Refused("explain takes one field path, such as pod.spec.containers")
        return Command(verb, arguments[0], (), ordered)
    if verb == "auth can-i":
        return _of_access(arguments, ordered, "list" in flags)
    if verb == "diff" and "filename" not in flags:
        raise _Refused("diff needs -f and a file")
    if arguments:
        raise _Refused(f"{verb} takes no {_brief(arguments[0])!r}")
    return Command(verb, "", (), ordered)


def _not_waiting(verb: str, flags: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """rollout status would wait for a rollout that never ends."""
    if verb != "rollout status":
        return flags
    return (*(pair for pair in flags if pair[0] != "watch"), ("watch", "false"))


def _of_objects(verb: str, arguments: list[str], flags: tuple[tuple[str, str], ...]) -> Command:
    if not arguments:
        raise _Refused(f"{verb} needs a resource type")
    if "/" in arguments[0]:
        pairs = [_target(argument) for argument in arguments]
        kinds = {kind for kind, _ in pairs}
        if len(kinds) > 1:
            return Command(verb, "", tuple(f"{kind}/{name}" for kind, name in pairs), flags)
        return Command(verb, pairs[0][0], tuple(name for _, name in pairs), flags)
    kinds = arguments[0].split(",")
    if not all(grammar.RESOURCE.match(kind) for kind in kinds):
        raise _Refused(f"{_brief(arguments[0])!r} is not a resource type")
    names = _names(arguments[1:])
    if names and len(kinds) > 1:
        raise _Refused("several types cannot share names")
    return Command(verb, arguments[0], names, flags)


def _target(argument: str) -> tuple[str, str]:
    kind, _, name = argument.partition("/")
    if not grammar.RESOURCE.match(kind) or not grammar.NAME.match(name):
        raise _Refused(f"{_brief(argument)!r} is not TYPE/NAME")
    return kind, name


def _names(arguments: Sequence[str]) -> tuple[str, ...]:
    for argument in arguments:
        if not grammar.NAME.match(argument):
            raise _Refused(f"{_brief(argument)!r} is not a name")
    return tuple(arguments)


def _of_logs(arguments: list[str], flags: tuple[tuple[str, str], ...]) -> Command:
    given = dict(flags)
    if not arguments and "selector" not in given:
        raise _Refused("logs needs a pod")
    if len(arguments) > 2:
        raise _Refused("logs takes one pod and one container")
    if len(arguments) == 2:
        flags = (*flags, ("container", _names(arguments[1:])[0]))
    if not arguments:
        return Command("logs", "", (), flags)
    if "/" in arguments[0]:
        kind, name = _target(arguments[0])
        return Command("logs", "", (name,) if kind in ("pod", "pods", "po") else (f"{kind}/{name}",), flags)
    return Command("logs", "", _names(arguments[:1]), flags)


def _of_access(arguments: list[str], flags: tuple[tuple[str, str], ...], listing: bool) -> Command:
    if listing and not arguments:
        return Command("auth can-i", "", (), flags)
    if len(arguments) not in (2, 3) or not grammar.VERB.match(arguments[0]):
        raise _Refused("auth can-i takes a verb and a resource type")
    kind, slash, name = arguments[1].partition("/")
    everything = kind == "*" and not slash
    if not everything and not grammar.RESOURCE.match(kind):
        raise _Refused(f"{_brief(arguments[1])!r} is not a resource type")
    names = _names([name] if slash else arguments[2:])
    return Command("auth can-i", arguments[0], (f"{kind}/{names[0]}" if names else kind,), flags)


def _check_secrets(command: Command) -> None:
    """Of Secrets only what shows no value: names, types, how many keys."""
    if command.verb not in ("get", "describe", "rollout history"):
        return
    kinds = [kind for kind in command.resource.split(",") if kind]
    kinds += [name.partition("/")[0] for name in command.names if "/" in name]
    if not any(kind.lower().partition(".")[0] in ("secret", "secrets") for kind in kinds):
        return
    shown = command.flag("output", "wide")
    if command.verb != "get" or shown not in ("name", "wide") or command.flag("sort-by"):
        raise _Refused("values of Secrets are not read: kubectl get secrets shows their names and keys' number")


SCRUBBED = ("KUBECTL_", "KUBE_", "LD_", "DYLD_", "PYTHON", "BASH_", "GIT_")
KEPT = frozenset({"KUBECONFIG"})


def scrubbed(environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for the user's kubectl: nothing in it makes a read start another program."""
    kept = {key: value for key, value in environ.items() if not key.startswith(SCRUBBED)}
    for name in ("EDITOR", "VISUAL", "PAGER", "ENV", "SHELLOPTS", "IFS"):
        kept.pop(name, None)
    return {**kept, "KUBERC": "off"}


def reads_of(command: Command, namespace: str) -> tuple[Read, ...]:
    """The same as reads of the API, where they show as much; empty where only kubectl itself can tell."""
    where = "" if command.flag("all-namespaces") == "true" else command.namespace or namespace
    if command.verb == "logs" and len(command.names) == 1 and "/" not in command.names[0]:
        options = [(name, command.flag(name)) for name in ("previous", "tail") if command.flag(name)]
        return (Read("logs", Ref("", "Pod", where, command.names[0], command.flag("container")), tuple(options)),)
    if command.verb != "get" or "/" in "".join(command.names):
        return ()
    found: list[Read] = []
    for word in command.resource.split(","):
        resource = named(word)
        if resource is None or (resource.group and "." in word and not word.endswith(resource.group)):
            return ()
        of = Ref(resource.group, resource.kind, where if resource.namespaced else "", "")
        renamed = (("field-selector", "fields"), ("selector", "labels"))
        options = tuple((short, command.flag(name)) for name, short in renamed if command.flag(name))
        if command.names:
            found += [Read("get", of._replace(name=name)) for name in command.names]
        else:
            found.append(Read("list", of, options))
    return tuple(found)


def printed(read: Read) -> str:
    """The kubectl command that shows a user what this read showed us."""
    return shlex.join(("kubectl", *_printed_words(read)))


def _printed_words(read: Read) -> list[str]:
    of = read.of
    resource = KNOWN.get((of.group, of.kind))
    kind = resource.argument if resource else f"{of.kind.lower()}.{of.group}" if of.group else of.kind.lower()
    namespaced = resource.namespaced if resource else bool(of.namespace)
    where = ["-n", of.namespace] if of.namespace and namespaced else []
    if read.what == "logs":
        words = ["logs", of.name, *where, *(["-c", of.part] if of.part else [])]
        words += ["--previous"] if read.option("previous") == "true" else []
        words += [f"--since={read.option('since')}s"] if read.option("since") else []
        return [*words, *([f"--tail={read.option('tail')}"] if read.option("tail") else [])]
    if read.what == "can-i":
        subresource = [f"--subresource={read.option('subresource')}"] if read.option("subresource") else []
        target = f"{kind}/{of.name}" if of.name else kind
        everywhere = ["-A"] if namespaced and not of.namespace else []
        return ["auth", "can-i", read.option("verb", "get"), target, *subresource, *where, *everywhere]
    if of.group == "metrics.k8s.io":
        shown = ["top", "node" if of.kind == "NodeMetrics" else "pod"]
        return [*shown, *([of.name] if of.name else []), *(where or (["-A"] if namespaced else []))]
    if read.what == "get":
        return ["get", kind, of.name, *where, *_printed_output(read)]
    words = ["get", kind, *(where or (["-A"] if namespaced else []))]
    words += ["-l", read.option("labels")] if read.option("labels") else []
    return [*words, *([f"--field-selector={read.option('fields')}"] if read.option("fields") else [])]


def _printed_output(read: Read) -> list[str]:
    if (read.of.group, read.of.kind) != ("", "Secret"):
        return ["-o", "yaml"]
    return ["-o", r"jsonpath={.data.tls\.crt}"] if read.option("tls") == "true" else []


__all__ = ["Command", "Refusal", "parse", "printed", "reads_of", "scrubbed"]
