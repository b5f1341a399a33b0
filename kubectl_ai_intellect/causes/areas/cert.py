"""Certificates that are past their end, near it, or were never issued."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta

from kubectl_ai_intellect.causes.attempts import attempts, servers
from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, not_there, told
from kubectl_ai_intellect.causes.near import nearest
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, Read, list_of
from kubectl_ai_intellect.state.certificates import validity
from kubectl_ai_intellect.state.custom import complaints, refers_to
from kubectl_ai_intellect.state.edits import Patch, set_field
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


ATTEMPTS = (
    ("Order", "acme.cert-manager.io"),
    ("Challenge", "acme.cert-manager.io"),
    ("CertificateRequest", "cert-manager.io"),
)


def _attempts(state: State, certificate: Object) -> list[Object]:
    """The orders, challenges and requests that were made for a certificate: named after it."""
    return [each for kind, group in ATTEMPTS for each in state.all(kind, certificate.ref.namespace, group=group)
            if each.ref.name.startswith(f"{certificate.ref.name}-")]  # fmt: skip


def issuer_of(certificate: Object) -> Ref | None:
    """The Issuer or ClusterIssuer that a Certificate names."""
    named = certificate.spec.get("issuerRef") or {}
    if not named.get("name"):
        return None
    kind = named.get("kind") or "Issuer"
    namespace = "" if kind.startswith("Cluster") else certificate.ref.namespace
    return Ref(named.get("group") or "cert-manager.io", kind, namespace, named["name"])


def _attempt_reads(state: State, symptom: Symptom) -> Iterable[Read]:
    if symptom.at.group == "cert-manager.io" and symptom.at.kind == "Certificate":
        for kind, group in ATTEMPTS:
            yield list_of(kind, symptom.at.namespace, group=group)
        found = state.find(symptom.at)
        issuer = issuer_of(found) if found else None
        if issuer is not None:
            yield list_of(issuer.kind, issuer.namespace, group=issuer.group)


def _told_by_attempts(state: State, certificate: Object) -> str:
    """What the last of the orders, challenges and requests for a certificate says, the nearest to the reason first."""
    told = [
        (each.ref.kind == "Challenge", each.created or state.now, each, each.status.get("state") or "", each.status["reason"])
        for each in _attempts(state, certificate) if each.status.get("reason")
    ] + [
        (False, each.created or state.now, each, "", one.message)
        for each in _attempts(state, certificate) for one in complaints(each)[:1] if one.message
    ]  # fmt: skip
    if not told:
        return ""
    _, _, last, how, why = max(told, key=lambda each: each[:2])
    return f"{last.ref.short} is {how or 'not done'}: {why}"


def _other_issuer(state: State, certificate: Object) -> tuple[Ref, str] | None:
    """The issuer that a Certificate names and that does not exist, with the name of the one that was likely meant."""
    issuer = issuer_of(certificate)
    if issuer is None or not state.absent(issuer):
        return None
    names = [each.ref.name for each in state.all(issuer.kind, issuer.namespace or None, group=issuer.group)]
    return issuer, nearest(issuer.name, names) or (names[0] if len(names) == 1 else "")


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
    deeper = _told_by_attempts(state, found)
    absent = _other_issuer(state, found)
    facts = [field(found, f"condition {condition.get('type')} is False: {condition.get('reason', '')} {words}")]
    if deeper:
        words = f"{words.rstrip(' .')}; {deeper}"
        facts.append(field(found, deeper))
    mends: tuple[Mend, ...] = ()
    if absent is not None:
        facts.append(not_there(absent[0]))
        words = f"{words.rstrip(' .')}; it names {absent[0].short}, which does not exist"
        if absent[1]:
            mends = (Mend(f"Name the {absent[0].kind} that exists, {absent[1]}",
                          (set_field(found.ref, "spec", "issuerRef", "name", value=absent[1]),)),)  # fmt: skip
    ill = any(complaints(each) for at in refers_to(state, found) if (each := state.find(at)) is not None)
    yield Finding(
        "cert/issuance-failed", found.ref, "likely" if ill else "proved",  # what it refers to says itself what ails it
        f"{found.ref.short} is not issued: {words}",
        supports=(*facts, *(told(one) for one in warnings[:2])), mends=mends, weight=0.4,
    )  # fmt: skip
