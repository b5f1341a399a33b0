"""Rights: what a ServiceAccount was refused, which role or binding would grant it, and bindings that lead nowhere."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, hits, logged, not_there
from kubectl_ai_intellect.causes.near import nearest
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, Read, get_of, list_of
from kubectl_ai_intellect.state.edits import Append, Edit, Patch, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import pod_spec, spec_path
from kubectl_ai_intellect.state.relations import workload_of
from kubectl_ai_intellect.state.rights import Wish, bindings, binds, granted, known, role_of, rule_allows

_QUOTE = r"\\*[\"'`]"
REFUSAL = re.compile(
    rf"(?:{_QUOTE}?(?P<object>[\w.\-:/]+){_QUOTE}? is forbidden: )?User {_QUOTE}system:serviceaccount:(?P<ns>[\w.-]+):(?P<sa>[\w.-]+){_QUOTE} "
    rf"cannot (?P<verb>[\w*]+) (?:resource {_QUOTE}(?P<resource>[\w./*-]+){_QUOTE}(?: in API group {_QUOTE}(?P<group>[\w.-]*){_QUOTE})?"
    rf"|path {_QUOTE}(?P<path>[^\"'\\]+){_QUOTE})(?:.{{0,8}}?in the namespace {_QUOTE}(?P<scope>[\w.-]+){_QUOTE})?",
    re.IGNORECASE,
)
KINDS = ("Role", "RoleBinding")


class Refusal(NamedTuple):
    """One thing that was refused, to whom, and the line that says so."""

    account: Ref
    wish: Wish
    fact: Fact


def refusals(state: State, symptom: Symptom) -> list[Refusal]:
    """What the container's log says it was refused, each once."""
    found: dict[tuple[Ref, Wish], Refusal] = {}
    for hit, previous in hits(state, symptom.at, "forbidden"):
        for match in REFUSAL.finditer(hit.line):
            account = ref("ServiceAccount", match["ns"], match["sa"])
            resource, _, inside = (match["resource"] or "").partition(".")  # some clients write deployments.apps
            name = match["object"] or ""
            named = name.rpartition("/")[2] if "/" in name or '"' in hit.line.partition(" is forbidden")[0][-2:] else ""
            wish = Wish(
                match["verb"].lower(),
                match["group"] or inside,
                resource,
                match["scope"] or "",
                named,
                match["path"] or "",
            )
            found.setdefault((account, wish), Refusal(account, wish, logged(symptom.at, hit, previous=previous)))
    return list(found.values())


def _needs(state: State, symptom: Symptom) -> Iterable[Read]:
    refused = refusals(state, symptom)
    for each in refused:
        yield list_of("ServiceAccount", each.account.namespace)
        if each.wish.namespace:
            yield from (list_of(kind, each.wish.namespace) for kind in KINDS)
        if each.account.namespace != each.wish.namespace:
            yield from (list_of(kind, each.account.namespace) for kind in KINDS)
        yield from (get_of(named) for _, _, named in _namesakes(state, each))
    if refused:
        yield list_of("ClusterRole")
        yield list_of("ClusterRoleBinding")


# -- which binding is at fault ----------------------------------------------------------------------------------------


def said(wish: Wish) -> str:
    where = f" in namespace {wish.namespace}" if wish.namespace else " in the whole cluster"
    what = wish.path or (f"{wish.resource}.{wish.group}" if wish.group else wish.resource)
    return f"{wish.verb} {what}{'' if wish.path else where}"


def dangling(state: State, refusal: Refusal) -> Object | None:
    """A binding of this very account whose role does not exist."""
    for binding in bindings(state, refusal.wish.namespace):
        if binds(binding, refusal.account) and state.absent(role_of(binding)):
            return binding
    return None


def misnamed(state: State, refusal: Refusal) -> tuple[Object, int] | None:
    """A binding that would grant the wish, but to an account of a slightly other name or namespace that is not there."""
    for binding, index, named in _namesakes(state, refusal):
        if not _lives(state, named):
            return binding, index
    return None


def _namesakes(state: State, refusal: Refusal) -> Iterator[tuple[Object, int, Ref]]:
    """Bindings that would grant the wish to an account of nearly the same name or of another namespace, and that account."""
    for binding in bindings(state, refusal.wish.namespace):
        role = state.find(role_of(binding))
        if role is None or not any(rule_allows(rule, refusal.wish) for rule in role.raw.get("rules") or ()):
            continue
        for index, subject in enumerate(binding.raw.get("subjects") or ()):
            if subject.get("kind") != "ServiceAccount":
                continue
            named = ref("ServiceAccount", subject.get("namespace") or "", subject.get("name") or "")
            account = refusal.account
            near = named.name == account.name or (
                named.namespace == account.namespace and nearest(named.name, [account.name])
            )
            if near and named != account:
                yield binding, index, named


def _lives(state: State, account: Ref) -> bool:
    """Whether an account is there: one that is not read counts as there."""
    return not state.absent(account) and (state.find(account) is not None or state.listed(account))


def poor(state: State, refusal: Refusal) -> Object | None:
    """The account's own role that lacks the wish: one made for it, never a built-in one."""
    for binding in bindings(state, refusal.wish.namespace):
        role = state.find(role_of(binding))
        own = [each for each in binding.raw.get("subjects") or () if each.get("kind") == "ServiceAccount"]
        if (
            role is None
            or not binds(binding, refusal.account)
            or len(own) != 1
            or own[0].get("name") != refusal.account.name
        ):
            continue
        if role.labels.get("kubernetes.io/bootstrapping") or role.ref.name in (
            "view",
            "edit",
            "admin",
            "cluster-admin",
        ):
            continue
        if role.ref.kind == "ClusterRole" or role.ref.namespace == refusal.wish.namespace:
            return role
    return None


# -- mends ------------------------------------------------------------------------------------------------------------


def _verbs(wishes: Iterable[Wish]) -> list[str]:
    """What reading clients need beside the one verb that failed first."""
    verbs = list(dict.fromkeys(wish.verb for wish in wishes))
    if "list" in verbs or "watch" in verbs:
        verbs = list(dict.fromkeys([*verbs, "get", "list", "watch"]))
    return verbs


def _rule(wish: Wish, verbs: list[str]) -> dict[str, Any]:
    if wish.path:
        return {"nonResourceURLs": [wish.path], "verbs": verbs}
    return {"apiGroups": [wish.group], "resources": [wish.resource], "verbs": verbs}


def rules_for(refused: Iterable[Refusal]) -> list[dict[str, Any]]:
    """One rule for each refused resource, with all its verbs."""
    by_thing: dict[tuple[str, str, str], list[Wish]] = {}
    for each in refused:
        by_thing.setdefault((each.wish.group, each.wish.resource, each.wish.path), []).append(each.wish)
    return [_rule(wishes[0], _verbs(wishes)) for wishes in by_thing.values()]


def _extended(role: Object, rules: list[dict[str, Any]]) -> tuple[Patch, ...]:
    """The role with what is lacking: verbs put into the rule of that very resource, else a rule more."""
    edits: list[Edit] = []
    for rule in rules:
        for index, own in enumerate(role.raw.get("rules") or ()):
            same = all(own.get(key) == rule.get(key) for key in ("apiGroups", "resources", "nonResourceURLs"))
            if same and not own.get("resourceNames"):
                held: list[str] = list(own.get("verbs") or [])
                verbs = [*held, *(verb for verb in rule["verbs"] if verb not in held)]
                edits.append(Edit(("rules", index, "verbs"), verbs))
                break
        else:
            edits.append(
                Edit(
                    ("rules", Append()) if role.raw.get("rules") else ("rules",),
                    rule if role.raw.get("rules") else [rule],
                )
            )
    return (Patch(role.ref, tuple(edits)),)


def _granted_anew(state: State, account: Ref, namespace: str, rules: list[dict[str, Any]]) -> tuple[Patch, ...]:
    """A role of its own for the account, and the binding to it."""
    kind, bound = ("Role", "RoleBinding") if namespace else ("ClusterRole", "ClusterRoleBinding")
    name = _free(
        state, f"{account.name}-{rules[0].get('resources', ['urls'])[0].replace('/', '-')}", kind, bound, namespace
    )
    meta = {"name": name, **({"namespace": namespace} if namespace else {})}
    api = "rbac.authorization.k8s.io"
    role = {"apiVersion": f"{api}/v1", "kind": kind, "metadata": meta, "rules": rules}
    binding = {"apiVersion": f"{api}/v1", "kind": bound, "metadata": meta,
               "roleRef": {"apiGroup": api, "kind": kind, "name": name},
               "subjects": [{"kind": "ServiceAccount", "name": account.name, "namespace": account.namespace}]}  # fmt: skip
    return (Patch(ref(kind, namespace, name), action="create", body=role),
            Patch(ref(bound, namespace, name), action="create", body=binding))  # fmt: skip


def _free(state: State, name: str, kind: str, bound: str, namespace: str) -> str:
    taken = {each.ref.name for one in (kind, bound) for each in state.all(one, namespace or None)}
    return next((each for each in (name, f"{name}-2", f"{name}-3") if each not in taken), name)


def _mend(state: State, refused: list[Refusal]) -> tuple[str, Mend]:
    """What is wrong with the bindings, in words, and what mends it."""
    first = refused[0]
    missed = misnamed(state, first)
    if missed is not None:
        binding, index = missed
        subject = (binding.raw.get("subjects") or ())[index]
        patch = Patch(binding.ref, (Edit(("subjects", index, "name"), first.account.name),
                                    Edit(("subjects", index, "namespace"), first.account.namespace)))  # fmt: skip
        words = (f"{binding.ref.short} would grant it, but to ServiceAccount {subject.get('name')} of namespace "
                 f"{subject.get('namespace') or '(none)'}, which does not exist")  # fmt: skip
        return words, Mend(f"Bind ServiceAccount {first.account.name} in {binding.ref.short}", (patch,))
    role = poor(state, first)
    rules = rules_for(each for each in refused if each.wish.namespace == first.wish.namespace)
    if role is not None:
        return f"its {role.ref.short} does not allow it", Mend(
            f"Allow it in {role.ref.short}", _extended(role, rules), risk="medium"
        )
    return "no binding grants it", Mend(
        f"Grant it: {said(first.wish)}", _granted_anew(state, first.account, first.wish.namespace, rules), risk="medium"
    )


# -- the causes -------------------------------------------------------------------------------------------------------


def _lacks(state: State, at: Ref) -> bool:
    """Whether something that a log says was refused to this account is still not granted."""
    for pod in state.all("Pod"):
        for each in pod_spec(pod).get("containers") or ():
            symptom = Symptom("access-denied", pod.ref.at(each.get("name", "")))
            refused = [one for one in refusals(state, symptom) if one.account == at.whole()]
            if any(granted(state, one.account, one.wish) is None for one in refused):
                return True
    return False


@cause("rbac/forbidden", "access-denied", needs=_needs, holds=_lacks)
def forbidden(state: State, symptom: Symptom) -> Iterable[Finding]:
    refused = refusals(state, symptom)
    lacking = [each for each in refused if granted(state, each.account, each.wish) is None]
    if refused and not lacking:
        first = refused[0]
        grant = granted(state, first.account, first.wish)
        facts = (field(grant, f"{grant.ref.short} grants it by now"),) if grant else ()
        yield Finding(
            "rbac/forbidden", first.account, "refuted", f"{said(first.wish)} is granted by now", refutes=facts
        )
        return
    if not lacking:
        return
    yield from _borrowed(state, symptom, lacking)
    first = lacking[0]
    if dangling(state, first) is not None:
        return
    sure = known(state, first.wish.namespace)
    words, mend = _mend(state, lacking)
    every = ", ".join(dict.fromkeys(said(each.wish) for each in lacking[:4]))
    yield Finding(
        "rbac/forbidden",
        first.account,
        "proved",
        f"ServiceAccount {first.account.name} may not {every}: {words}",
        supports=(first.fact, field(first.account, words if sure else f"the API server refuses it: {every}")),
        mends=(mend,),
        affects=(workload_of(state, symptom.at),),
        weight=0.2,
    )


def _borrowed(state: State, symptom: Symptom, lacking: list[Refusal]) -> Iterator[Finding]:
    """The pod runs as `default` while an account of its own, with the rights, stands unused beside it."""
    first = lacking[0]
    workload = workload_of(state, symptom.at)
    if first.account.name != "default" or first.account.namespace != workload.namespace:
        return
    able = [each.ref for each in state.all("ServiceAccount", workload.namespace)
            if each.ref.name != "default" and granted(state, each.ref, first.wish) and nearest(each.ref.name, [workload.name])]  # fmt: skip
    able += [ref("ServiceAccount", workload.namespace, workload.name)] if granted(
        state, ref("ServiceAccount", workload.namespace, workload.name), first.wish) else []  # fmt: skip
    if not able or state.find(able[0]) is None:
        return
    yield Finding(
        "rbac/forbidden",
        first.account,
        "proved",
        f"{workload.short} runs as ServiceAccount default, which may not {said(first.wish)}; {able[0].name} may",
        supports=(first.fact, field(workload, "spec.serviceAccountName is default"), field(able[0], f"{able[0].short} is granted it")),
        mends=(Mend(f"Run as ServiceAccount {able[0].name}",
                    (set_field(workload, *spec_path(workload.kind), "serviceAccountName", value=able[0].name),)),),
        weight=0.5,
    )  # fmt: skip


def _roleless(state: State, at: Ref) -> bool:
    binding = state.find(at)
    return binding is not None and state.absent(role_of(binding))


def _role_finding(state: State, binding: Object, refused: list[Refusal]) -> Finding:
    role = role_of(binding)
    near = nearest(role.name, [each.ref.name for each in state.all(role.kind, role.namespace or None)
                               if not each.labels.get("kubernetes.io/bootstrapping")])  # fmt: skip
    other = "ClusterRole" if role.kind == "Role" else "Role"
    across = binding.ref.kind == "RoleBinding" and state.find(
        ref(other, "" if other == "ClusterRole" else binding.ref.namespace, role.name)) is not None  # fmt: skip
    if across:
        mend = Mend(f"Bind the {other} of that name", (set_field(binding.ref, "roleRef", "kind", value=other),))
        hint = f"; a {other} of that name does"
    elif near:
        mend = Mend(f"Bind {role.kind} {near}, which exists", (set_field(binding.ref, "roleRef", "name", value=near),))
        hint = f"; {role.kind} {near} does"
    else:
        rules = rules_for(refused) or [
            {"apiGroups": ["<API_GROUP>"], "resources": ["<RESOURCES>"], "verbs": ["<VERBS>"]}
        ]
        meta = {"name": role.name, **({"namespace": role.namespace} if role.namespace else {})}
        body = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": role.kind, "metadata": meta, "rules": rules}
        unknown = (
            ()
            if refused
            else ("<API_GROUP>, <RESOURCES>, <VERBS>: what the role should allow cannot be known from the cluster",)
        )
        mend = Mend(
            f"Create the {role.kind} {role.name}",
            (Patch(role, action="create", body=body),),
            risk="medium",
            unknown=unknown,
        )
        hint = ""
    return Finding(
        "rbac/role-missing",
        binding.ref,
        "proved",
        f"{binding.ref.short} binds {role.kind} {role.name}, which does not exist{hint}: it grants nothing",
        supports=(
            field(binding, f"roleRef is {role.kind}/{role.name}"),
            not_there(role),
            *(each.fact for each in refused[:1]),
        ),
        mends=(mend,),
        weight=0.4,
    )


@cause("rbac/role-missing", "access-denied", "binding-broken", needs=_needs, holds=_roleless)
def role_missing(state: State, symptom: Symptom) -> Iterable[Finding]:
    if symptom.kind == "binding-broken":
        binding = state.find(symptom.at)
        if binding is not None and _roleless(state, symptom.at):
            yield _role_finding(state, binding, [])
        return
    refused = [each for each in refusals(state, symptom) if granted(state, each.account, each.wish) is None]
    for each in refused[:1]:
        binding = dangling(state, each)
        if binding is not None:
            yield _role_finding(state, binding, refused)
