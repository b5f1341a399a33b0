"""Ingresses whose rules do not match what is asked of them: another host, another path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kubectl_ai_intellect.causes.base import Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field
from kubectl_ai_intellect.causes.symptoms.asked import NEARLY, alike, covers, hosts, uncovered
from kubectl_ai_intellect.kube.source import Object, dig
from kubectl_ai_intellect.state.edits import Append, Edit, Patch, set_field
from kubectl_ai_intellect.state.graph import State


@cause("ingress/no-route-match", "route-unmatched")
def no_route_match(state: State, symptom: Symptom) -> Iterable[Finding]:
    ingress = state.find(symptom.at)
    if ingress is None or ingress.ref.kind != "Ingress":
        return
    what, _, rest = symptom.note.partition(" ")
    if what == "host":
        yield from _host(ingress, rest)
    elif what == "path":
        host, _, path = rest.partition(" ")
        yield from _path(ingress, host, path)
    elif (slip := uncovered(ingress)) is not None:
        meant, written = slip
        yield _other_host(ingress, meant, written, f"Ingress {ingress.ref.name} has a certificate for {meant}, but its rule is for "
                          f"{written}: requests for {meant} match no rule", True)  # fmt: skip


def _host(ingress: Object, host: str) -> Iterator[Finding]:
    ruled = [one for one in hosts(ingress) if one]
    if not ruled:
        return
    written = max(ruled, key=lambda one: alike(one, host))
    near = alike(written, host) >= NEARLY
    if not near and written.split(".")[-2:] != host.split(".")[-2:]:
        return
    yield _other_host(ingress, host, written, f"no Ingress has a rule for {host}"
                      + (f"; Ingress {ingress.ref.name} has one for {written}" if near else
                         f"; the nearest, Ingress {ingress.ref.name}, serves {', '.join(ruled[:3])}"), near)  # fmt: skip


def _other_host(ingress: Object, meant: str, written: str, says: str, near: bool) -> Finding:
    edits = [
        Edit(("spec", "rules", index, "host"), meant) for index, one in enumerate(hosts(ingress)) if one == written
    ]
    for index, each in enumerate(ingress.spec.get("tls") or ()):
        for place, one in enumerate(each.get("hosts") or ()):
            if one == written:
                edits.append(Edit(("spec", "tls", index, "hosts", place), meant))
    mend = Mend(f"Let its rule be for {meant}", (Patch(ingress.ref, tuple(edits)),), risk="medium")
    if not near:
        rule = next(one for one in ingress.spec["rules"] if one.get("host") == written)
        patch = Patch(ingress.ref, (Edit(("spec", "rules", Append()), {**rule, "host": meant}),))
        mend = Mend(
            f"Add a rule for {meant}",
            (patch,),
            risk="medium",
            unknown=(f"whether {meant} is to lead to the same Service",),
        )
    return Finding("ingress/no-route-match", ingress.ref, "proved" if near else "possible", says,
                   supports=(field(ingress, f"hosts of its rules: {', '.join(one or '*' for one in hosts(ingress))}"),),
                   mends=(mend,), weight=0.3)  # fmt: skip


def _path(ingress: Object, host: str, path: str) -> Iterator[Finding]:
    for index, rule in enumerate(ingress.spec.get("rules") or ()):
        paths = dig(rule, "http", "paths", otherwise=[])
        if not covers(str(rule.get("host") or ""), host) or not paths:
            continue
        known = ", ".join(f"{one.get('path') or '/'} ({one.get('pathType')})" for one in paths)
        at = ("spec", "rules", index, "http", "paths")
        exact = next((place for place, one in enumerate(paths) if one.get("pathType") == "Exact"
                      and path.startswith((one.get("path") or "/").rstrip("/") + "/")), None)  # fmt: skip
        if exact is not None:
            mend = Mend(f"Let the rule take all that lies below {paths[exact].get('path')}",
                        (set_field(ingress.ref, *at, exact, "pathType", value="Prefix"),))  # fmt: skip
        else:
            entry = {"path": path, "pathType": "Prefix", "backend": paths[0].get("backend")}
            mend = Mend(f"Add a path for {path}", (Patch(ingress.ref, (Edit((*at, Append()), entry),)),), risk="medium",
                        unknown=(f"whether {path} is to lead to the same Service",))  # fmt: skip
        yield Finding("ingress/no-route-match", ingress.ref, "proved",
                      f"Ingress {ingress.ref.name} has a rule for {host}, but no path of it takes {path}: it has {known}",
                      supports=(field(ingress, f"paths for {host}: {known}"),), mends=(mend,), weight=0.3)  # fmt: skip
        return


__all__ = ["no_route_match"]
