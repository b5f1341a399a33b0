"""Pods that admission refuses: webhooks, policies, Pod Security, limit ranges, ServiceAccounts that are not there."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from typing import Any

from kubectl_ai_intellect.causes.areas.scheduling_room import shown
from kubectl_ai_intellect.causes.base import Fact, Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, not_there
from kubectl_ai_intellect.causes.fit import container_requests, quantity
from kubectl_ai_intellect.causes.needs import lists, namespace_look
from kubectl_ai_intellect.causes.refusals import Refusal, refusals
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, Read, dig, get_of, list_of
from kubectl_ai_intellect.state.edits import By, Edit, Patch, Step, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import declared, is_ready, pod_spec, spec_path, template_path
from kubectl_ai_intellect.state.relations import Relation, near, pods_of

CALLING = re.compile(r'failed calling webhook "([^"]+)"')
DENIED = re.compile(r'admission webhook "([^"]+)" denied the request(?: without explanation)?:?\s*(.*)', re.S)
POLICY = re.compile(r"ValidatingAdmissionPolicy '([^']+)'(?: with binding '([^']+)')? denied request:?\s*(.*)", re.S)
ENGINES = re.compile(r"kyverno|gatekeeper|validation\.gatekeeper\.sh|polaris|kubewarden|opa", re.I)
TLS = re.compile(r"x509|tls: |certificate", re.I)
CONFIGURATIONS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")


# -- webhooks ---------------------------------------------------------------------------------------------------------


def holders(state: State, hook: str) -> list[Object]:
    """The configurations that register a webhook of this name."""
    return [each for kind in CONFIGURATIONS for each in state.all(kind)
            if any(one.get("name") == hook for one in each.raw.get("webhooks") or ())]  # fmt: skip


def webhook_needs(state: State, symptom: Symptom) -> Iterable[Read]:
    """The configurations, and what stands behind the webhook's Service."""
    calls = [match.group(1) for refusal in refusals(state, symptom.at) if (match := CALLING.search(refusal.words))]
    if not calls:
        return
    for kind in CONFIGURATIONS:
        yield list_of(kind)
    for hook in calls:
        for each in holders(state, hook):
            service = _service(each, hook)
            if service is not None:
                yield from (get_of(service), *namespace_look(service.namespace))


def _service(held: Object, hook: str) -> Ref | None:
    for each in held.raw.get("webhooks") or ():
        named = dig(each, "clientConfig", "service")
        if each.get("name") == hook and named:
            return ref("Service", named.get("namespace", ""), named.get("name", ""))
    return None


def _behind(state: State, service: Ref) -> tuple[str, Ref | None]:
    """What is wrong behind a webhook's Service, and the Deployment that is scaled away."""
    if state.absent(service):
        return f"its Service {service.namespace}/{service.name} does not exist", None
    found = state.find(service)
    if found is None:
        return f"its Service {service.namespace}/{service.name} could not be read", None
    slices = [each for each in state.all("EndpointSlice", service.namespace)
              if each.labels.get("kubernetes.io/service-name") == service.name]  # fmt: skip
    ready = [
        one
        for each in slices
        for one in each.raw.get("endpoints") or ()
        if dig(one, "conditions", "ready") is not False
    ]
    selector = found.spec.get("selector") or {}
    for each in state.all("Deployment", service.namespace):
        labels = dig(each.spec, "template", "metadata", "labels", otherwise={})
        if (
            selector
            and all(labels.get(key) == value for key, value in selector.items())
            and each.spec.get("replicas") == 0
        ):
            return f"its Deployment {each.ref.name} is scaled to 0", each.ref
    if ready:
        return f"its Service {service.namespace}/{service.name} has endpoints that do not answer", None
    return f"its Service {service.namespace}/{service.name} has no ready endpoints", None


def _ailing(state: State, service: Ref | None) -> bool:
    """Whether the webhook's server is there and not well: what ails it, if that is found, is nearer to the root."""
    backends = [state.find(each) for each in near(state, service, Relation.SELECTS)] if service else []
    pods = [each for each in backends if each is not None and each.ref.kind == "Pod"]
    return bool(pods) and not any(map(is_ready, pods))


def _failing_closed(state: State, at: Ref, tls: bool) -> bool:
    found = state.find(at)
    if found is None or at.kind not in CONFIGURATIONS:
        return False
    called = {match.group(1) for each in state.every_event if bool(TLS.search(each.message)) == tls
              if (match := CALLING.search(each.message))}  # fmt: skip
    hooks = [
        one
        for one in found.raw.get("webhooks") or ()
        if one.get("failurePolicy", "Fail") == "Fail" and one.get("name") in called
    ]
    for one in hooks:
        service = _service(found, one["name"])
        deployment = _behind(state, service)[1] if service else None
        scaled = "is scaled to 0" in _behind(state, service)[0] if service else True
        if tls or deployment is not None or not scaled:
            return True
    return False


def _webhook(state: State, symptom: Symptom, id: str, tls: bool) -> Iterator[Finding]:
    for refusal in refusals(state, symptom.at):
        match = CALLING.search(refusal.words)
        if not match or bool(TLS.search(refusal.words)) != tls:
            continue
        hook = match.group(1)
        held = next(iter(holders(state, hook)), None)
        at = held.ref if held else ref("ValidatingWebhookConfiguration", "", hook)
        service = _service(held, hook) if held else None
        why, scaled = _behind(state, service) if service else ("it cannot be reached", None)
        if tls:
            why = "its certificate is not one that the configuration's caBundle vouches for"
        mends: list[Mend] = []
        if scaled is not None and not tls:
            mends.append(Mend(f"Start {scaled.short} again", (set_field(scaled, "spec", "replicas", value=1),)))
        if held:
            names = [one["name"] for one in held.raw.get("webhooks") or () if _service(held, one["name"]) == service]
            edits = tuple(Edit(("webhooks", By(name), "failurePolicy"), "Ignore") for name in names or [hook])
            mends.append(Mend("Let requests pass while it cannot be called (failurePolicy Ignore)",
                              (Patch(at, edits),), risk="medium"))  # fmt: skip
        if tls:
            mends.append(Mend("Have its serving certificate and the caBundle issued anew (cert-manager's cainjector, or "
                              "the component's own certificate job)"))  # fmt: skip
        yield Finding(
            id, at, "proved" if held and (tls or not _ailing(state, service)) else "likely",
            f"every pod of {symptom.at.short} must pass the webhook {hook}, which the API server cannot call: {why}",
            supports=(refusal.fact, *([field(at, f"{at.short} registers {hook} with failurePolicy Fail")] if held else []),
                      *([not_there(service)] if service and state.absent(service) else [])),
            mends=tuple(mends), affects=(symptom.at,), weight=0.4,
        )  # fmt: skip
        return


@cause("admission/webhook-unavailable", "create-refused", needs=webhook_needs,
       holds=lambda state, at: _failing_closed(state, at, False))  # fmt: skip
def webhook_unavailable(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _webhook(state, symptom, "admission/webhook-unavailable", False)


@cause("admission/webhook-tls", "create-refused", needs=webhook_needs,
       holds=lambda state, at: _failing_closed(state, at, True))  # fmt: skip
def webhook_tls(state: State, symptom: Symptom) -> Iterable[Finding]:
    yield from _webhook(state, symptom, "admission/webhook-tls", True)


# -- denials ----------------------------------------------------------------------------------------------------------

_LABEL = re.compile(r"""(?i)\b(label|annotation)s?\b[^'"`{\w]*['"`{\[]*([a-z0-9][\w./-]*[a-z0-9])['"`}\]]*""")


def _denial_mends(state: State, workload: Ref, reason: str, who: str) -> tuple[Mend, ...]:
    """What the denial asks for, where it names a label or annotation that is not there; else its own words."""
    found = state.find(workload)
    for kind, name in _LABEL.findall(reason):
        inside = "labels" if kind.lower() == "label" else "annotations"
        have = dig(
            found.raw if found else {},
            *[str(s) for s in template_path(workload.kind)],
            "metadata",
            inside,
            otherwise={},
        )
        if name in have or name in (
            "is",
            "are",
            "must",
            "required",
            "missing",
            "for",
            "with",
            "on",
            "of",
            "in",
            "the",
            "and",
            "or",
        ):
            continue
        value = f"<{re.sub(r'[^A-Z0-9]+', '_', name.upper())}>"
        return (Mend(f"Give the pods the {kind.lower()} {name}",
                     (set_field(workload, *template_path(workload.kind), "metadata", inside, name, value=value),),
                     unknown=(f"{value}: which value {who} accepts",)),)  # fmt: skip
    return (Mend(f"Change the pod template so that {who} accepts it: {reason[:200]}",
                 unknown=(f"what {who} accepts is written in its rules",)),)  # fmt: skip


def _denied(state: State, symptom: Symptom, id: str, refusal: Refusal, who: str, reason: str) -> Finding:
    text = " ".join(reason.split())[:300].rstrip(".")
    return Finding(
        id, symptom.at, "proved", f"{who} refuses the pods of {symptom.at.short}: {text or 'it gives no reason'}",
        supports=(refusal.fact,), mends=_denial_mends(state, symptom.at, text, who), weight=0.3,
    )  # fmt: skip


@cause("admission/webhook-denied", "create-refused")
def webhook_denied(state: State, symptom: Symptom) -> Iterable[Finding]:
    for refusal in refusals(state, symptom.at):
        match = DENIED.search(refusal.words)
        if match and not ENGINES.search(match.group(1)):
            yield _denied(
                state, symptom, "admission/webhook-denied", refusal, f"the webhook {match.group(1)}", match.group(2)
            )
            return


@cause("admission/policy-denied", "create-refused")
def policy_denied(state: State, symptom: Symptom) -> Iterable[Finding]:
    for refusal in refusals(state, symptom.at):
        match, hook = POLICY.search(refusal.words), DENIED.search(refusal.words)
        if match:
            who = f"the ValidatingAdmissionPolicy {match.group(1)}"
            yield _denied(state, symptom, "admission/policy-denied", refusal, who, match.group(3))
            return
        if hook and ENGINES.search(hook.group(1)):
            who = f"the policy engine ({hook.group(1)})"
            yield _denied(state, symptom, "admission/policy-denied", refusal, who, hook.group(2))
            return


# -- ServiceAccounts --------------------------------------------------------------------------------------------------


def _account(state: State, at: Ref) -> Ref | None:
    """The ServiceAccount that a workload's pods would use, if it does not exist."""
    found = state.find(at)
    spec = pod_spec(found) if found else {}
    if not spec.get("containers"):
        return None
    target = ref(
        "ServiceAccount", at.namespace, spec.get("serviceAccountName") or spec.get("serviceAccount") or "default"
    )
    return target if state.absent(target) else None


@cause("serviceaccount/missing", "create-refused", "workload-short", needs=lists("ServiceAccount"),
       holds=lambda state, at: _account(state, at) is not None)  # fmt: skip
def account_missing(state: State, symptom: Symptom) -> Iterable[Finding]:
    said = [each.fact for each in refusals(state, symptom.at) if "error looking up service account" in each.words]
    target = _account(state, symptom.at)
    if target is None and said and state.all("ServiceAccount", symptom.at.namespace).complete:
        return
    if target is None and said:
        match = re.search(r"looking up service account ([^/\s]+)/([^:\s]+)", said[0].text)
        target = ref("ServiceAccount", match.group(1), match.group(2)) if match else None
    if target is None or (not said and pods_of(state, symptom.at)):
        return
    others = [each.ref.name for each in state.all("ServiceAccount", target.namespace)]
    close = difflib.get_close_matches(target.name, [name for name in others if name != "default"], n=1, cutoff=0.6)
    mends: list[Mend] = []
    if close:
        mends.append(Mend(f"Use the ServiceAccount that exists, {close[0]}",
                          (set_field(symptom.at, *spec_path(symptom.at.kind), "serviceAccountName", value=close[0]),)))  # fmt: skip
    body = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": target.name, "namespace": target.namespace},
    }
    mends.append(Mend(f"Create the ServiceAccount {target.name}", (Patch(target, action="create", body=body),),
                      unknown=() if close else ("which rights it needs: bind it to a Role if its pods talk to the API",)))  # fmt: skip
    hint = f"; one named {close[0]} exists" if close else ""
    yield Finding(
        "serviceaccount/missing", symptom.at, "proved",
        f"{symptom.at.short} runs as ServiceAccount {target.name}, which does not exist in {target.namespace}{hint}",
        supports=(not_there(target), *said[:1], field(symptom.at, f"serviceAccountName is {target.name}")),
        mends=tuple(mends), weight=0.4,
    )  # fmt: skip


# -- limit ranges -----------------------------------------------------------------------------------------------------

BOUND = re.compile(
    r"(minimum|maximum) (\S+) usage per (\w+) is ([^\s,]+?)(?:\.|,)\s+(?:but (request|limit) is ([^\s,\]]+)|No (request|limit))"
)
RATIO = re.compile(r"(\S+) max limit to request ratio per (\w+) is ([^\s,]+), but")


def _bound_edits(state: State, workload: Ref, words: str) -> list[Edit]:
    """The smallest changes that bring every container within the bounds that were told."""
    found = state.find(workload)
    edits: list[Edit] = []
    for which, resource, scope, bound, *_ in BOUND.findall(words):
        limit = quantity(bound)
        for each, path in _containers(found) if found and scope == "Container" else ():
            have = each.get("resources") or {}
            for section in ("requests", "limits") if which == "maximum" else ("limits", "requests"):
                value = (have.get(section) or {}).get(resource)
                outside = value is not None and (
                    quantity(value) > limit if which == "maximum" else quantity(value) < limit
                )
                missing = value is None and section == ("limits" if which == "maximum" else "requests")
                if outside or missing:
                    edits.append(Edit((*path, "resources", section, resource), bound))
    for resource, scope, ratio in RATIO.findall(words):
        for each, path in _containers(found) if found and scope == "Container" else ():
            limits = (dig(each, "resources", "limits", otherwise={})).get(resource)
            asked = container_requests(each).get(resource, 0.0)
            if limits and (not asked or quantity(limits) / asked > quantity(ratio) + 1e-9):
                value = shown(
                    resource, quantity(limits) / quantity(ratio) + (1e-3 if resource == "cpu" else 2.0**20 - 1)
                )
                edits.append(Edit((*path, "resources", "requests", resource), value))
    return edits


def _containers(found: Object) -> Iterator[tuple[Any, tuple[Step, ...]]]:
    for group in ("initContainers", "containers"):
        for each in pod_spec(found).get(group) or ():
            place = declared(found, each.get("name", ""))
            if place:
                yield place


def _outside(state: State, at: Ref) -> bool:
    return any(_bound_edits(state, at, refusal.words) for refusal in refusals(state, at)) if state.find(at) else False


@cause("limitrange/violated", "create-refused", needs=lists("LimitRange"), holds=_outside)
def limit_violated(state: State, symptom: Symptom) -> Iterable[Finding]:
    for refusal in refusals(state, symptom.at):
        told = [*(match.group(0) for match in BOUND.finditer(refusal.words)),
                *(match.group(0) for match in RATIO.finditer(refusal.words))]  # fmt: skip
        if not told:
            continue
        ranges = list(state.all("LimitRange", symptom.at.namespace))
        edits = _bound_edits(state, symptom.at, refusal.words)
        mends: list[Mend] = []
        if edits:
            what = ", ".join(f"{edit.path[-2]} {edit.path[-1]} {edit.value}" for edit in edits)
            mends.append(Mend(f"Stay within the bounds: {what}", (Patch(symptom.at, tuple(edits)),)))
        name = ranges[0].ref.name if len(ranges) == 1 else "the LimitRange"
        mends.append(Mend(f"Or widen {name}, if such pods are meant to run here", risk="medium"))
        facts: list[Fact] = [
            field(each.ref, f"LimitRange {each.ref.name} bounds what a pod may ask for") for each in ranges[:1]
        ]
        yield Finding(
            "limitrange/violated", symptom.at, "proved",
            f"the pods of {symptom.at.short} are refused by {name if ranges else 'a LimitRange'}: {'; '.join(told)}",
            supports=(refusal.fact, *facts), mends=tuple(mends), weight=0.3,
        )  # fmt: skip
        return


__all__ = ["CALLING", "DENIED", "POLICY", "holders"]
