"""Certificates that are past their end, near it, or were never issued."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from kubectl_ai_intellect.causes.attempts import attempts, servers
from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, told
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, Read, list_of
from kubectl_ai_intellect.state.certificates import validity
from kubectl_ai_intellect.state.edits import Patch
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.relations import Relation, near

SOON = timedelta(days=21)
ISSUERS = ("cert-manager.io", "acme.cert-manager.io")


def read_tls(secret: Ref) -> Read:
    return Read("get", secret, (("tls", "true"),))


def held_by(state: State, symptom: Symptom) -> Iterator[Ref]:
    """The Secrets whose certificate a TLS failure may be about: the servers', the routes' to them, the client's own."""
    for attempt in attempts(state, symptom):
        service = state.find(attempt.service) if attempt.service else None
        for pod in servers(state, service)[:2] if service else ():
            yield from _secrets(state, pod.ref)
        for ingress in state.all("Ingress"):
            rules = ingress.spec.get("rules") or ()
            if any(rule.get("host") == attempt.host for rule in rules):
                yield from tls_of(ingress)
    yield from _secrets(state, symptom.at.whole())


def _secrets(state: State, pod: Ref) -> Iterator[Ref]:
    for each in near(state, pod, Relation.MOUNTS):
        if each.kind == "Secret":
            yield each


def tls_of(ingress: Object) -> Iterator[Ref]:
    for each in ingress.spec.get("tls") or ():
        if each.get("secretName"):
            yield ref("Secret", ingress.ref.namespace, each["secretName"])


def _needs(state: State, symptom: Symptom) -> Iterable[Read]:
    if symptom.kind == "client-failing" and symptom.note.startswith("tls-failed"):
        yield from (read_tls(each) for each in dict.fromkeys(held_by(state, symptom)))


def _ended(state: State, at: Ref) -> bool:
    secret = state.find(at)
    span = validity(secret) if secret else None
    return span is not None and span.ends <= state.now


def _reissue(state: State, secret: Object) -> Mend:
    """Where cert-manager makes the certificate, taking the Secret away makes it anew; else a person must bring one."""
    if secret.annotations.get("cert-manager.io/certificate-name"):
        return Mend("Have cert-manager issue it anew", (Patch(secret.ref, action="delete"),), risk="medium")
    body = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": secret.ref.name, "namespace": secret.ref.namespace},
            "stringData": {"tls.crt": "<NEW_CERTIFICATE>", "tls.key": "<NEW_KEY>"}}  # fmt: skip
    return Mend("Replace the certificate by a new one",
                (Patch(secret.ref, action="delete"), Patch(secret.ref, action="create", body=body)), risk="medium",
                unknown=("<NEW_CERTIFICATE> and <NEW_KEY>: a new certificate must come from whoever issued the old one",))  # fmt: skip


def _finding(state: State, at: Ref, facts: Iterable[Fact] = (), sure: bool = True) -> Finding | None:
    secret = state.find(at)
    span = validity(secret) if secret else None
    if secret is None or span is None or span.ends > state.now:
        return None
    ended = f"{span.ends:%Y-%m-%d %H:%M} UTC"
    return Finding(
        "cert/expired",
        secret.ref,
        "proved" if sure else "likely",
        f"the certificate in Secret {secret.ref.name} ended on {ended}",
        supports=(field(secret, f"tls.crt is valid until {ended}, and it is {state.now:%Y-%m-%d}"), *facts),
        mends=(_reissue(state, secret),),
        weight=0.6,
    )


@cause("cert/expired", "client-failing", "certificate-old", needs=_needs, holds=_ended)
def expired(state: State, symptom: Symptom) -> Iterable[Finding]:
    if symptom.kind == "certificate-old":
        found = _finding(state, symptom.at)
        if found is not None:
            yield found
        return
    if not symptom.note.startswith("tls-failed"):
        return
    for at in dict.fromkeys(held_by(state, symptom)):
        hit = next(attempts(state, symptom))
        found = _finding(
            state, at, [hit.fact], "expired" in hit.hit.line.lower() or "not yet valid" in hit.hit.line.lower()
        )
        if found is not None:
            yield found
            return


@cause("cert/expiring", "certificate-old")
def expiring(state: State, symptom: Symptom) -> Iterable[Finding]:
    secret = state.find(symptom.at)
    span = validity(secret) if secret else None
    if secret is None or span is None or not state.now < span.ends <= state.now + SOON:
        return
    days = (span.ends - state.now).days
    yield Finding(
        "cert/expiring",
        secret.ref,
        "proved",
        f"the certificate in Secret {secret.ref.name} ends in {days} days, on {span.ends:%Y-%m-%d}",
        supports=(field(secret, f"tls.crt is valid until {span.ends:%Y-%m-%d %H:%M} UTC"),),
        mends=(_reissue(state, secret),),
    )


ENDED = ("invalid", "errored", "expired", "denied")


def _attempts(state: State, certificate: Object) -> list[Object]:
    """The orders and challenges that were made for a certificate: named after it."""
    kinds = (
        ("Order", "acme.cert-manager.io"),
        ("Challenge", "acme.cert-manager.io"),
        ("CertificateRequest", "cert-manager.io"),
    )
    return [each for kind, group in kinds for each in state.all(kind, certificate.ref.namespace, group=group)
            if each.ref.name.startswith(f"{certificate.ref.name}-")]  # fmt: skip


def _attempt_reads(state: State, symptom: Symptom) -> Iterable[Read]:
    if symptom.at.group == "cert-manager.io" and symptom.at.kind == "Certificate":
        yield list_of("Order", symptom.at.namespace, group="acme.cert-manager.io")
        yield list_of("Challenge", symptom.at.namespace, group="acme.cert-manager.io")


@cause("cert/issuance-failed", "condition-false", needs=_attempt_reads)
def issuance_failed(state: State, symptom: Symptom) -> Iterable[Finding]:
    found = state.find(symptom.at)
    if found is None or found.ref.group not in ISSUERS:
        return
    denied = [each for each in found.status.get("conditions") or () if each.get("status") == "False"]
    condition = max(
        denied, key=lambda each: (each.get("reason") == "Failed", len(each.get("message") or "")), default={}
    )
    words = condition.get("message") or found.status.get("reason") or condition.get("reason") or "no reason is given"
    warnings = [one for one in state.events(found.ref) if one.warning]
    deeper = [
        each for each in _attempts(state, found) if each.status.get("reason") or each.status.get("state") in ENDED
    ]
    if deeper:
        last = max(deeper, key=lambda each: (each.ref.kind == "Challenge", each.created or state.now))
        words = f"{words.rstrip(' .')}; {last.ref.short} is {last.status.get('state') or 'not done'}: {last.status.get('reason') or ''}"
    yield Finding(
        "cert/issuance-failed",
        found.ref,
        "proved",
        f"{found.ref.short} is not issued: {words}",
        supports=(field(found, f"condition {condition.get('type')} is False: {condition.get('reason', '')} {words}"),
                  *(told(one) for one in warnings[:2])),
        weight=0.4,
    )  # fmt: skip
