"""Who can do what: roles and bindings evaluated, with the binding and the role that give each right."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from kubectl_ai_intellect.inform.tables import Question, listed, some, table, unread
from kubectl_ai_intellect.kube.refs import GROUP_OF, KNOWN, Ref, named
from kubectl_ai_intellect.kube.source import Object, Read, list_of
from kubectl_ai_intellect.question import Asked
from kubectl_ai_intellect.report import Table
from kubectl_ai_intellect.state.rights import Wish, bindings, role_of, rule_allows

_VERBS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (r"impersonate", ("impersonate",)),
    (r"delete|remove|destroy|kill", ("delete",)),
    (r"list", ("list",)),
    (r"watch", ("watch",)),
    (r"create|make|run|deploy|add|exec|port-?forward|attach", ("create",)),
    (r"patch", ("patch",)),
    (r"update", ("update",)),
    (r"edit|change|modify|write|scale|restart|roll ?back|alter", ("update", "patch")),
    (r"bind", ("bind",)),
    (r"escalate", ("escalate",)),
    (r"get|read|see|view|look at|access|show", ("get", "list")),
)
_SUBRESOURCES = (
    (r"\bexec\b", "Pod", "exec"),
    (r"\bport-?forward", "Pod", "portforward"),
    (r"\battach\b", "Pod", "attach"),
    (r"\blogs?\b", "Pod", "log"),
    (r"\bscale\b", "", "scale"),
)
_ALL = re.compile(r"\b(?:everything|anything|(?:cluster[- ])?admins?(?:istrators?)?|full access|all resources)\b")
_MYSELF = re.compile(r"\b(?:can|may|could|am) i\b|\bi (?:can|may|am allowed)\b|\bdo i have\b")


def wishes(asked: Asked, namespace: str) -> list[Wish]:
    """What a question asks the right for: one wish for each verb that its words mean."""
    text = asked.text.lower()
    if _ALL.search(text):
        return [Wish("*", "*", "*", namespace)]
    resource = named(asked.kind) if asked.kind else _resource_in(text)
    kind = (resource.group, resource.kind) if resource else ("", "")
    sub = next((entry for entry in _SUBRESOURCES if re.search(entry[0], text)), None)
    if sub and not (sub[2] == "scale" and not kind[1]):
        kind = (GROUP_OF.get(sub[1], ""), sub[1]) if sub[1] else kind
    if not kind[1]:
        return []
    served = KNOWN[kind]
    name = served.plural + (f"/{sub[2]}" if sub else "")
    if sub and sub[2] == "log":
        verbs: tuple[str, ...] = ("get",)
    else:
        verbs = next((verbs for words, verbs in _VERBS if re.search(rf"\b(?:{words})\b", text)), ("get", "list"))
    return [Wish(verb, kind[0], name, namespace if served.namespaced else "") for verb in verbs]


def _resource_in(text: str) -> Any:
    for word in re.findall(r"[a-z]+", text):
        found = named(word) if len(word) > 2 else None
        if found is not None:
            return found
    return None


def needs(asked: Asked, namespace: str) -> list[Read]:
    if _MYSELF.search(asked.text.lower()):
        return [_own(wish) for wish in wishes(asked, namespace)]
    kinds = ("Role", "RoleBinding")
    return [*(list_of(kind, namespace) for kind in kinds), list_of("ClusterRole"), list_of("ClusterRoleBinding")]


def _own(wish: Wish) -> Read:
    plural, _, sub = wish.resource.partition("/")
    kind = next((each.kind for each in KNOWN.values() if (each.group, each.plural) == (wish.group, plural)), "*")
    options = [("verb", wish.verb), *([("subresource", sub)] if sub else [])]
    return Read("can-i", Ref(wish.group, kind, wish.namespace, ""), tuple(sorted(options)))


def who_can(question: Question) -> Table:
    asked = wishes(question.asked, question.namespace)
    if not asked:
        return Table(status="declined", text="name what: for example, who can delete pods")
    if _MYSELF.search(question.text):
        return _myself(question, asked)
    gaps = unread(question.state, ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"), question.namespace)
    what = f"{' or '.join(wish.verb for wish in asked)} {asked[0].resource}".replace("* *", "do everything")
    where = f"in namespace {asked[0].namespace}" if asked[0].namespace else "cluster-wide"
    rows = sorted({tuple(line) for line in _granted(question, asked)})
    if gaps and not rows:
        return Table(status="declined", text=f"cannot tell who can {what}: {'; '.join(gaps)}")
    subjects = list(dict.fromkeys(f"{line[0]} {line[1]}" for line in rows))
    text = f"{some(len(subjects), 'subject')} can {what} {where} by RBAC: {listed(subjects)}"
    if not rows:
        text = f"nobody is granted to {what} {where} by RBAC (the group system:masters always may)"
    space = asked[0].namespace
    command = "kubectl get rolebindings,clusterrolebindings " + (f"-n {space} " if space else "-A ") + "-o wide"
    columns = ["SUBJECT KIND", "SUBJECT", "VERBS", "BINDING", "ROLE", "ONLY"]
    return table(text, columns if any(line[5] for line in rows) else columns[:5],
                 rows if any(line[5] for line in rows) else [line[:5] for line in rows], command, gaps=gaps)  # fmt: skip


def _granted(question: Question, asked: list[Wish]) -> Iterator[list[str]]:
    """A line for each subject of each binding that gives some of what is asked."""
    state, namespace = question.state, asked[0].namespace
    counted = list(bindings(state, namespace))
    if not namespace and _everywhere(question, asked):
        counted += state.all("RoleBinding")
    for binding in counted:
        role = state.find(role_of(binding))
        given = list(_given(role, asked)) if role else []
        if not given:
            continue
        verbs = ",".join(dict.fromkeys(verb for verb, _ in given))
        only = (
            ""
            if any(not names for _, names in given)
            else ",".join(sorted({name for _, names in given for name in names}))
        )
        scope = f" (in {binding.ref.namespace})" if binding.ref.namespace and not namespace else ""
        for subject in binding.raw.get("subjects") or ():
            target = role_of(binding)
            yield [
                subject.get("kind", ""),
                _called(subject, binding),
                verbs,
                binding.ref.short + scope,
                target.short,
                only,
            ]


def _everywhere(question: Question, asked: list[Wish]) -> bool:
    """Whether bindings of single namespaces count too: all namespaces were asked about, and the kind has one."""
    plural = asked[0].resource.partition("/")[0]
    return question.namespace == "" and any(each.plural == plural and each.namespaced for each in KNOWN.values())


def _called(subject: Mapping[str, Any], binding: Object) -> str:
    if subject.get("kind") == "ServiceAccount":
        return f"{subject.get('namespace') or binding.ref.namespace}/{subject.get('name', '')}"
    return str(subject.get("name", ""))


def _given(role: Object, asked: list[Wish]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The verbs a role gives, each with the names it is limited to."""
    for rule in role.raw.get("rules") or ():
        names = tuple(str(name) for name in rule.get("resourceNames") or ())
        free = {key: value for key, value in rule.items() if key != "resourceNames"}
        for wish in asked:
            if rule_allows(free, wish) and (wish.verb != "*" or not names):
                yield wish.verb, names


def _myself(question: Question, asked: list[Wish]) -> Table:
    rows: list[list[str]] = []
    for wish in asked:
        told = question.state.fetched.get(_own(wish))
        known = told.allowed if told and told.unread is None else None
        rows.append([wish.verb, wish.resource, "unknown" if known is None else "yes" if known else "no"])
    where = f"in namespace {asked[0].namespace}" if asked[0].namespace else "cluster-wide"
    said = "; ".join(f"{told}: you can{'not' if told == 'no' else ''} {verb} {what} {where}" if told != "unknown"
                     else f"the API server did not say whether you can {verb} {what}" for verb, what, told in rows)  # fmt: skip
    plural, _, sub = asked[0].resource.partition("/")
    words = ["kubectl", "auth", "can-i", asked[0].verb, plural, *([f"--subresource={sub}"] if sub else [])]
    words += ["-n", asked[0].namespace] if asked[0].namespace else []
    return table(said, ["VERB", "RESOURCE", "ALLOWED"], rows, shlex.join(words))


__all__ = ["needs", "who_can", "wishes"]
