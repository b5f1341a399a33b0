"""Cloud identities and service meshes: who a pod is to others beyond the cluster's own API."""

from __future__ import annotations

import re
from collections.abc import Iterable

from kubectl_ai_intellect.causes.attempts import attempts
from kubectl_ai_intellect.causes.base import Finding, Mend, Symptom, cause
from kubectl_ai_intellect.causes.facts import field, hits, logged
from kubectl_ai_intellect.causes.needs import container_logs, owners, together
from kubectl_ai_intellect.kube.refs import ref
from kubectl_ai_intellect.kube.source import Read, get_of, list_of
from kubectl_ai_intellect.state.edits import Patch, set_field
from kubectl_ai_intellect.state.graph import State
from kubectl_ai_intellect.state.pods import Container, containers, pod_spec
from kubectl_ai_intellect.state.relations import workload_of

CLOUDS = {
    "eks.amazonaws.com/role-arn": (re.compile(r"(?i)aws|arn:|amazon|sts\b|s3\b|webidentity|dynamodb|sqs|imds|ec2"), "<ROLE_ARN>", "IAM role"),
    "iam.gke.io/gcp-service-account": (re.compile(r"(?i)google|gcp|gcs|iam_permission|\.iam\.|compute metadata|default credentials"),
                                       "<ACCOUNT>@<PROJECT>.iam.gserviceaccount.com", "Google service account"),
    "azure.workload.identity/client-id": (re.compile(r"(?i)azure|aadsts|managedidentity|keyvault|authorizationfailed"), "<CLIENT_ID>",
                                          "Azure client"),
}  # fmt: skip
PROXIES = {
    "istio-proxy": "Istio",
    "linkerd-proxy": "Linkerd",
    "consul-dataplane": "Consul",
    "kuma-sidecar": "Kuma",
    "envoy-sidecar": "Envoy",
}
PROXY_TROUBLE = (
    "dns-failure",
    "connection-refused",
    "connection-timeout",
    "tls-failed",
    "http-upstream",
    "grpc-unavailable",
    "auth-failed",
)
CONTROL_PLANES = {"Istio": "istio-system", "Linkerd": "linkerd", "Consul": "consul", "Kuma": "kuma-system"}
MESH = re.compile(
    r"(?i)RBAC: access denied|upstream connect error or disconnect/reset before headers[^\n]*TLS|"
    r"peer did not return a certificate|l5d-proxy-error|l5d-proxy-connection|CERTIFICATE_VERIFY_FAILED[^\n]*(?:spiffe|istio)"
)


def _account(state: State, symptom: Symptom) -> Iterable[Read]:
    pod = state.find(symptom.at)
    if pod is not None:
        yield get_of(ref("ServiceAccount", symptom.at.namespace, pod_spec(pod).get("serviceAccountName") or "default"))


@cause("app/cloud-identity-denied", "access-denied", needs=together(_account, owners))
def cloud_identity_denied(state: State, symptom: Symptom) -> Iterable[Finding]:
    pod = state.find(symptom.at)
    told = hits(state, symptom.at, "cloud-denied")
    if pod is None or not told or symptom.note != "cloud-denied":
        return
    hit, previous = told[0]
    account = ref("ServiceAccount", symptom.at.namespace, pod_spec(pod).get("serviceAccountName") or "default")
    found = state.find(account)
    key = next((key for key, (words, _, _) in CLOUDS.items() if words.search(hit.line)), "")
    if not key or found is None:
        strength, why, mends = "possible", "its identity is refused by the cloud", ()
    elif found.annotations.get(key):
        strength, mends = "likely", ()
        why = f"its identity {found.annotations[key]} ({key}) is refused: the right is lacking in the cloud, or its trust does not name {account.name}"
    else:
        workload, (_, value, what) = workload_of(state, symptom.at), CLOUDS[key]
        restart = (
            (Patch(workload, action="restart"),) if workload.kind in ("Deployment", "StatefulSet", "DaemonSet") else ()
        )
        strength, why = "proved", f"it has no annotation {key}, so that the pod has no {what} of its own"
        mends = (Mend(f"Give it the {what} it should have", (set_field(account, "metadata", "annotations", key, value=value), *restart),
                      unknown=(f"{value}: which {what} is meant cannot be known from the cluster",)),)  # fmt: skip
    yield Finding(
        "app/cloud-identity-denied",
        account,
        strength,
        f"ServiceAccount {account.name} may not use the cloud API that {symptom.at.name} calls: {why}",
        supports=(logged(symptom.at, hit, previous=previous), field(account, why)),
        mends=mends,
        affects=(workload_of(state, symptom.at),),
    )


def _proxy(state: State, symptom: Symptom) -> Container | None:
    pod = state.find(symptom.at)
    return next((each for each in containers(pod) if each.name in PROXIES), None) if pod else None


@cause("mesh/proxy-failure", "container-unready", "container-restarting", "client-failing",
       needs=together(container_logs, owners))  # fmt: skip
def proxy_failure(state: State, symptom: Symptom) -> Iterable[Finding]:
    proxy = _proxy(state, symptom)
    if proxy is None:
        return
    workload, mesh = workload_of(state, symptom.at), PROXIES[proxy.name]
    if symptom.kind != "client-failing":
        if symptom.at.part == proxy.name and not proxy.ready:
            said = [
                logged(symptom.at, hit, previous=previous) for hit, previous in hits(state, symptom.at, *PROXY_TROUBLE)
            ]
            words = f": {said[0].text.partition(': ')[2][:200]}" if said else ""
            yield Finding(
                "mesh/proxy-failure",
                workload,
                "proved" if said else "likely",
                f"the {mesh} sidecar {proxy.name} of {symptom.at.name} is not ready, so that nothing reaches the pod{words}",
                supports=(field(symptom.at, f"container {proxy.name} is not ready"), *said[:2]),
                mends=(
                    Mend(
                        f"Bring back what {mesh}'s sidecars take their configuration from (its control plane), then restart",
                        advice=(list_of("Service", CONTROL_PLANES.get(mesh, "")),),
                    ),
                ),
            )
        return
    for each in attempts(state, symptom):
        if MESH.search(each.hit.line):
            yield Finding(
                "mesh/proxy-failure",
                workload,
                "likely",
                f"the {mesh} mesh refuses what {symptom.at.name} asks of {each.host or 'its peer'}: a policy or mTLS mode stands in the way",
                supports=(each.fact, field(symptom.at, f"the pod has the sidecar {proxy.name}")),
                weight=0.2,
            )
            return
