"""Who may do what: roles and bindings, evaluated as the API server's RBAC authorizer does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object
from kubectl_ai_intellect.state.graph import State


class Wish(NamedTuple):
    """One thing that somebody wants to do; an empty namespace means cluster-wide. `path` for non-resource URLs."""

    verb: str
    group: str
    resource: str  # with /subresource
    namespace: str = ""
    name: str = ""
    path: str = ""


def bindings(state: State, namespace: str) -> Iterator[Object]:
    """The bindings that count in a namespace."""
    if namespace:
        yield from state.all("RoleBinding", namespace)
    yield from state.all("ClusterRoleBinding")


def known(state: State, namespace: str) -> bool:
    """Whether every binding and role that could grant something here was read."""
    kinds = [("ClusterRoleBinding", ""), ("ClusterRole", "")]
    kinds += [("RoleBinding", namespace), ("Role", namespace)] if namespace else []
    return all(state.all(kind, where or None).complete for kind, where in kinds)


def names(subject: Mapping[str, Any], account: Ref, binding_namespace: str) -> bool:
    """Whether a binding's subject is this ServiceAccount, itself or through a group of all of them."""
    kind, name = subject.get("kind"), subject.get("name")
    if kind == "ServiceAccount":
        return name == account.name and (subject.get("namespace") or binding_namespace) == account.namespace
    if kind == "User":
        return name == f"system:serviceaccount:{account.namespace}:{account.name}"
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{account.namespace}", "system:authenticated")
    return kind == "Group" and name in groups


def role_of(binding: Object) -> Ref:
    named = binding.raw.get("roleRef") or {}
    kind = named.get("kind") or "Role"
    return ref(kind, binding.ref.namespace if kind == "Role" else "", named.get("name") or "")


def binds(binding: Object, account: Ref) -> bool:
    return any(names(each, account, binding.ref.namespace) for each in binding.raw.get("subjects") or ())


def rule_allows(rule: Mapping[str, Any], wish: Wish) -> bool:
    if not _has(rule.get("verbs"), wish.verb):
        return False
    if wish.path:
        return any(url == "*" or url == wish.path or (url.endswith("*") and wish.path.startswith(url[:-1]))
                   for url in rule.get("nonResourceURLs") or ())  # fmt: skip
    if not _has(rule.get("apiGroups"), wish.group):
        return False
    only = rule.get("resourceNames") or ()
    if only and wish.name not in only:
        return False
    sub = wish.resource.partition("/")[2]
    resources = rule.get("resources") or ()
    return _has(resources, wish.resource) or bool(sub and f"*/{sub}" in resources)


def _has(values: Any, value: str) -> bool:
    return "*" in (values or ()) or value in (values or ())


def granted(state: State, account: Ref, wish: Wish) -> Object | None:
    """The binding that grants a wish, if one does."""
    for binding in bindings(state, wish.namespace):
        if not binds(binding, account):
            continue
        role = state.find(role_of(binding))
        if role is not None and any(rule_allows(rule, wish) for rule in role.raw.get("rules") or ()):
            return binding
    return None


__all__ = ["Wish", "bindings", "binds", "granted", "known", "names", "role_of", "rule_allows"]
