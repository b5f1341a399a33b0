"""Ingresses that lead nowhere: a class, a backend, a port or a certificate that does not exist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from kubectl_ai_intellect.causes.base import Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, listed, not_there
from kubectl_ai_intellect.causes.near import nearest
from kubectl_ai_intellect.causes.needs import lists
from kubectl_ai_intellect.causes.symptoms.traffic import has_port
from kubectl_ai_intellect.kube.refs import Ref, ref
from kubectl_ai_intellect.kube.source import Object, Read, dig, list_of
from kubectl_ai_intellect.state.edits import REMOVE, Edit, Patch, Step, set_field
from kubectl_ai_intellect.state.graph import State

OLD_CLASS = "kubernetes.io/ingress.class"
DEFAULT = "ingressclass.kubernetes.io/is-default-class"


def backends(ingress: Object) -> Iterator[tuple[Mapping[str, Any], str, tuple[Step, ...]]]:
    """Each backend Service of an Ingress, where it is written, and the path to it."""
    default = dig(ingress.spec, "defaultBackend", "service")
    if default:
        yield default, "default backend", ("spec", "defaultBackend", "service")
    for index, rule in enumerate(ingress.spec.get("rules") or ()):
        for place, path in enumerate(dig(rule, "http", "paths", otherwise=[])):
            service = dig(path, "backend", "service")
            if service:
                where = f"{rule.get('host') or '*'}{path.get('path') or '/'}"
                yield service, where, ("spec", "rules", index, "http", "paths", place, "backend", "service")


def _backendless(state: State, at: Ref) -> bool:
    ingress = state.find(at)
    return ingress is not None and any(
        state.absent(ref("Service", at.namespace, service.get("name", ""))) for service, _, _ in backends(ingress)
    )


@cause("ingress/backend-missing", "route-broken", holds=_backendless)
def backend_missing(state: State, symptom: Symptom) -> Iterable[Finding]:
    ingress = state.find(symptom.at)
    if ingress is None or ingress.ref.kind != "Ingress" or symptom.note != "backend":
        return
    for service, where, path in backends(ingress):
        target = ref("Service", symptom.at.namespace, service.get("name", ""))
        if where != symptom.at.part or not state.absent(target):
            continue
        here = state.all("Service", target.namespace)
        fitting = [each.ref.name for each in here if has_port(each, service.get("port") or {})]
        others = [name for name in fitting if name != "kubernetes"]
        near = nearest(target.name, fitting) or nearest(target.name, [each.ref.name for each in here]) or (
            others[0] if len(others) == 1 else "")  # fmt: skip
        name = near or "<SERVICE>"
        unknown = (
            () if near else ("<SERVICE>: no Service here resembles the missing one, so which is meant cannot be known",)
        )
        yield Finding(
            "ingress/backend-missing",
            ingress.ref,
            "proved",
            f"Ingress {ingress.ref.name} sends {where} to Service {target.name}, which does not exist"
            + (f"; Service {near} does" if near else ""),
            supports=(field(ingress, f"{where} has backend Service {target.name}"), not_there(target)),
            mends=(
                Mend(
                    f"Send it to Service {name}", (set_field(ingress.ref, *path, "name", value=name),), unknown=unknown
                ),
            ),
        )
        return


def _portless(state: State, at: Ref) -> bool:
    ingress = state.find(at)
    for service, _, _ in backends(ingress) if ingress else ():
        found = state.find(ref("Service", at.namespace, service.get("name", "")))
        if found is not None and not has_port(found, service.get("port") or {}):
            return True
    return False


@cause("ingress/backend-port-missing", "route-broken", holds=_portless)
def backend_port_missing(state: State, symptom: Symptom) -> Iterable[Finding]:
    ingress = state.find(symptom.at)
    if ingress is None or ingress.ref.kind != "Ingress" or symptom.note != "port":
        return
    for service, where, path in backends(ingress):
        found = state.find(ref("Service", symptom.at.namespace, service.get("name", "")))
        port = service.get("port") or {}
        if where != symptom.at.part or found is None or has_port(found, port):
            continue
        ports = found.spec.get("ports") or []
        said = port.get("name") or port.get("number")
        pick = _meant(port, ports)
        have = ", ".join(f"{each.get('port')}" + (f" ({each['name']})" if each.get("name") else "") for each in ports)
        yield Finding(
            "ingress/backend-port-missing",
            ingress.ref,
            "proved",
            f"Ingress {ingress.ref.name} sends {where} to port {said} of Service {found.ref.name}, which has {have or 'no port'}",
            supports=(
                field(ingress, f"{where} has backend {found.ref.name}:{said}"),
                field(found, f"spec.ports: {have}"),
            ),
            mends=(
                Mend(
                    f"Send it to port {pick.get('number') or pick.get('name')}",
                    (set_field(ingress.ref, *path, "port", value=pick),),
                ),
            ),
        )
        return


def _meant(port: Mapping[str, Any], ports: list[Mapping[str, Any]]) -> dict[str, Any]:
    """The Service's port that the Ingress most likely means, in the way it names ports."""
    names = [each.get("name") or "" for each in ports]
    if port.get("name"):
        near = nearest(str(port["name"]), names)
        if near:
            return {"name": near}
    else:
        by_target = [each for each in ports if each.get("targetPort") == port.get("number")]
        ports = by_target or ports
    first = next((each for each in ports if each.get("name") in ("http", "web", "https")), ports[0] if ports else {})
    return {"number": first.get("port", 80)}


def chosen_class(ingress: Object) -> str:
    return ingress.spec.get("ingressClassName") or ingress.annotations.get(OLD_CLASS) or ""


def _classless(state: State, at: Ref) -> bool:
    ingress = state.find(at)
    classes = state.all("IngressClass")
    if ingress is None or not classes.complete:
        return False
    name = chosen_class(ingress)
    if name:
        return not any(each.ref.name == name for each in classes)
    return not any(each.annotations.get(DEFAULT) == "true" for each in classes)


@cause("ingress/class-missing", "route-broken", needs=lists("IngressClass"), holds=_classless)
def class_missing(state: State, symptom: Symptom) -> Iterable[Finding]:
    ingress = state.find(symptom.at)
    if ingress is None or ingress.ref.kind != "Ingress" or symptom.note != "class" or not _classless(state, symptom.at):
        return
    if dig(ingress.status, "loadBalancer", "ingress"):
        return  # somebody serves it, whatever its class says
    name, classes = chosen_class(ingress), [each.ref.name for each in state.all("IngressClass")]
    near = (nearest(name, classes) if name else "") or (classes[0] if len(classes) == 1 else "")
    value = near or "<INGRESS_CLASS>"
    says = (
        f"names IngressClass {name}, which does not exist" if name else "names no IngressClass, and none is the default"
    )
    have = f"there is {', '.join(classes)}" if classes else "there is none at all: no ingress controller is installed"
    edits = [Edit(("spec", "ingressClassName"), value)]
    if ingress.annotations.get(OLD_CLASS):
        edits.append(Edit(("metadata", "annotations", OLD_CLASS), REMOVE))
    yield Finding(
        "ingress/class-missing",
        ingress.ref,
        "proved",
        f"Ingress {ingress.ref.name} {says}; {have}: no controller serves it",
        supports=(field(ingress, f"spec.ingressClassName is {name or 'not set'}"), listed("IngressClass", "", have)),
        mends=(Mend(f"Use the class {value}", (Patch(ingress.ref, tuple(edits)),),
                    unknown=() if near else ("<INGRESS_CLASS>: which ingress controller should serve it cannot be known; install one if there is none",)),),
    )  # fmt: skip


def _tlsless(state: State, at: Ref) -> bool:
    ingress = state.find(at)
    return ingress is not None and any(
        state.absent(ref("Secret", at.namespace, each["secretName"]))
        for each in ingress.spec.get("tls") or ()
        if each.get("secretName")
    )


def certificate_of(state: State, secret: Ref) -> Object | None:
    """The cert-manager Certificate that is to fill a Secret."""
    here = state.all("Certificate", secret.namespace, group="cert-manager.io")
    return next((each for each in here if each.spec.get("secretName") == secret.name), None)


def _tls_reads(state: State, symptom: Symptom) -> Iterator[Read]:
    if symptom.note == "tls":
        yield list_of("Secret", symptom.at.namespace)
        yield list_of("Certificate", symptom.at.namespace, group="cert-manager.io")


@cause("ingress/tls-secret-missing", "route-broken", needs=_tls_reads, holds=_tlsless)
def tls_secret_missing(state: State, symptom: Symptom) -> Iterable[Finding]:
    ingress = state.find(symptom.at)
    if ingress is None or ingress.ref.kind != "Ingress" or symptom.note != "tls":
        return
    for index, each in enumerate(ingress.spec.get("tls") or ()):
        target = ref("Secret", symptom.at.namespace, each.get("secretName") or "")
        if target.name != symptom.at.part or not state.absent(target):
            continue
        secrets = [
            one.ref.name for one in state.all("Secret", target.namespace) if one.raw.get("type") == "kubernetes.io/tls"
        ]
        near = nearest(target.name, secrets)
        hosts = ", ".join(each.get("hosts") or ()) or "its hosts"
        if near:
            mend = Mend(
                f"Use the Secret {near}, which exists",
                (set_field(ingress.ref, "spec", "tls", index, "secretName", value=near),),
            )
        else:
            body = {"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
                    "metadata": {"name": target.name, "namespace": target.namespace},
                    "stringData": {"tls.crt": "<CERTIFICATE>", "tls.key": "<KEY>"}}  # fmt: skip
            mend = Mend(f"Create the Secret {target.name}", (Patch(target, action="create", body=body),),
                        unknown=(f"<CERTIFICATE> and <KEY>: a certificate for {hosts} must come from its issuer",))  # fmt: skip
        yield Finding(
            "ingress/tls-secret-missing",
            ingress.ref,
            "likely" if certificate_of(state, target) else "proved",
            f"Ingress {ingress.ref.name} takes the certificate for {hosts} from Secret {target.name}, which does not exist"
            + (f"; Secret {near} does" if near else ""),
            supports=(field(ingress, f"spec.tls names Secret {target.name}"), not_there(target)),
            mends=(mend,),
        )
        return
