"""The smallest ClusterRole, or Role, that gives full service, as YAML to apply."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from kubectl_ai_intellect.doctor.rights import RIGHTS, Right
from kubectl_ai_intellect.errors import UsageError
from kubectl_ai_intellect.evidence.redact import clean
from kubectl_ai_intellect.kube.refs import Resource

NAME = "kubectl-intellect"
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_ABOUT_SECRETS = """\
# Secrets: only names, keys and tls.crt are read, but whoever holds this right can read every value.
# Without this rule five kinds of trouble stay open: missing Secrets and keys, missing pull secrets,
# Ingresses without their certificate, and expired certificates."""
_ABOUT_ROLE = """\
# A Role cannot grant what lies outside its namespace: {kinds}.
# `kubectl intellect doctor --role` without -n prints a ClusterRole that has them as well."""


def role(namespace: str = "", rights: Sequence[Right] = RIGHTS, custom: Sequence[Resource] = ()) -> str:
    """The role's YAML; with a namespace a Role that holds in it."""
    inside = [each for each in rights if each.namespaced or not namespace]
    kind = "Role" if namespace else "ClusterRole"
    place = f"\n  namespace: {namespace}" if namespace else ""
    if namespace and not _NAMESPACE.fullmatch(namespace):
        raise UsageError(f"{clean(namespace)} is no name of a namespace: lower-case letters, digits and dashes")
    bound = f"rolebinding {NAME} -n {namespace} --role" if namespace else f"clusterrolebinding {NAME} --clusterrole"
    lines = [
        f"# Bind it: kubectl create {bound}={NAME} --user=NAME (or --group, --serviceaccount)",
        "apiVersion: rbac.authorization.k8s.io/v1",
        f"kind: {kind}",
        f"metadata:\n  name: {NAME}{place}",
        "rules:",
    ]
    secrets = [each for each in inside if each.kind == "Secret"]
    for rule in _rules([each for each in inside if each not in secrets], custom):
        lines += _written(rule)
    lines += [_ABOUT_SECRETS, *_written(next(iter(_rules(secrets, ()))))]
    if namespace:
        outside = ", ".join(sorted({each.plural for each in rights if not each.namespaced}))
        lines.append(_ABOUT_ROLE.format(kinds=outside))
    return "\n".join(lines) + "\n"


def _rules(rights: Iterable[Right], custom: Iterable[Resource]) -> list[dict[str, Any]]:
    """One rule per API group and set of verbs, the core group first."""
    grouped: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for each in rights:
        grouped.setdefault((each.group, each.verbs), []).append(each.plural)
    for each in custom:
        grouped.setdefault((each.group, ("get", "list")), []).append(each.plural)
    return [
        {"apiGroups": [group], "resources": sorted(plurals), "verbs": list(verbs)}
        for (group, verbs), plurals in sorted(grouped.items())
    ]


def _written(rule: dict[str, Any]) -> list[str]:
    """A rule in YAML's flow style, one list a line, as people write roles."""
    rows = {key: ", ".join(f'"{value}"' for value in values) for key, values in rule.items()}
    return [f"{'- ' if number == 0 else '  '}{key}: [{row}]" for number, (key, row) in enumerate(rows.items())]


__all__ = ["NAME", "role"]
