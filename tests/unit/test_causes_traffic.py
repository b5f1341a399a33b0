"""Causes of Services, their clients, routes and policies: what each says of a State, and of its near miss."""

from __future__ import annotations

from kubectl_ai_intellect.causes.assess import examine
from kubectl_ai_intellect.causes.base import Finding, causes
from kubectl_ai_intellect.causes.symptoms import derive
from kubectl_ai_intellect.state.graph import State
from tests.unit.states import state_of

SLICE = """
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: %s-x, namespace: shop, labels: {kubernetes.io/service-name: %s}}
endpoints: [%s]
---
"""


def findings(state: State, id: str, *, refuted: bool = False) -> list[Finding]:
    found = examine(state, derive(state), causes())
    return [
        each
        for group in found.values()
        for each in group
        if each.cause == id and (each.strength == "refuted") is refuted
    ]


def ids(state: State) -> set[str]:
    return {
        each.cause
        for group in examine(state, derive(state), causes()).values()
        for each in group
        if each.strength != "refuted"
    }


def mended(state: State, finding: Finding) -> bool:
    """Whether the fault is declared now and gone once the first mend is in."""
    holds = causes()[finding.cause].holds
    assert holds is not None
    return holds(state, finding.object) and not holds(state.patched(*finding.mends[0].patches), finding.object)


def pod(
    name: str,
    labels: str,
    ports: str = "",
    ready: bool = True,
    env: str = "",
    namespace: str = "shop",
    ip: str = "10.1.0.9",
) -> str:
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {namespace}, labels: {{{labels}}}}}
spec:
  nodeName: n1
  containers: [{{name: main, image: "shop/app:1", ports: [{ports}], env: [{env}]}}]
status:
  phase: Running
  podIP: {ip}
  conditions: [{{type: Ready, status: "{ready}"}}]
  containerStatuses: [{{name: main, ready: {str(ready).lower()}, containerID: "containerd://1",
                        state: {{running: {{startedAt: "2026-01-01T11:00:00Z"}}}}}}]
---
"""


def service(name: str, selector: str, ports: str = "{port: 80}", more: str = "", namespace: str = "shop") -> str:
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{selector: {{{selector}}}, ports: [{ports}], clusterIP: 10.96.0.20 {more}}}
---
"""


# -- selectors and ports ----------------------------------------------------------------------------------------------


def test_a_selector_with_a_typo_is_set_to_the_labels_of_the_pods() -> None:
    state = state_of(
        pod("cart-1", "app: cart, tier: web") + service("cart", "app: kart, tier: web") + SLICE % ("cart", "cart", "")
    )
    (found,) = findings(state, "service/selector-mismatch")
    assert found.strength == "proved"
    assert found.object.name == "cart"
    assert "app=kart" in found.says
    assert mended(state, found)
    assert found.mends[0].patches[0].edits[0].path == ("spec", "selector", "app")


def test_a_selector_with_another_key_is_moved_to_the_key_that_the_pods_have() -> None:
    state = state_of(pod("cart-1", "app.kubernetes.io/name: cart") + service("cart", "app: cart"))
    (found,) = findings(state, "service/selector-mismatch")
    assert mended(state, found)


def test_unready_pods_are_no_selector_mismatch() -> None:
    state = state_of(
        pod("cart-1", "app: cart", ready=False) + service("cart", "app: cart") + SLICE % ("cart", "cart", "")
    )
    assert not findings(state, "service/selector-mismatch")
    assert findings(state, "service/no-ready-endpoints")


def test_a_workload_scaled_to_zero_is_no_selector_mismatch() -> None:
    state = state_of("""
apiVersion: apps/v1
kind: Deployment
metadata: {name: cart, namespace: shop}
spec: {replicas: 0, selector: {matchLabels: {app: cart}}, template: {metadata: {labels: {app: cart}}, spec: {containers: [{name: a, image: b}]}}}
---
""" + service("cart", "app: cart"))  # fmt: skip
    assert not findings(state, "service/selector-mismatch")


def test_a_target_port_that_no_container_declares() -> None:
    state = state_of(
        pod("cart-1", "app: cart", "{name: http, containerPort: 8080}")
        + service("cart", "app: cart", "{port: 80, targetPort: 9090}")
    )
    (found,) = findings(state, "service/port-mismatch")
    assert found.strength == "proved"
    assert mended(state, found)
    assert found.mends[0].patches[0].edits[0].value == 8080


def test_a_named_target_port_keeps_being_a_name() -> None:
    state = state_of(
        pod("cart-1", "app: cart", "{name: http, containerPort: 8080}")
        + service("cart", "app: cart", "{port: 80, targetPort: htpp}")
    )
    (found,) = findings(state, "service/port-mismatch")
    assert found.mends[0].patches[0].edits[0].value == "http"
    assert mended(state, found)


def test_the_right_port_is_no_mismatch_and_undeclared_ones_may_serve() -> None:
    right = service("cart", "app: cart", "{port: 80, targetPort: 8080}")
    assert "service/port-mismatch" not in ids(state_of(pod("cart-1", "app: cart", "{containerPort: 8080}") + right))
    assert "service/port-mismatch" not in ids(state_of(pod("cart-1", "app: cart") + right))


def test_what_the_server_says_it_listens_on_decides_where_nothing_is_declared() -> None:
    documents = (pod("cart-1", "app: cart") + service("cart", "app: cart", "{port: 80, targetPort: 8000}")
                 + pod("web-1", "app: web", env="{name: CART, value: 'http://cart/'}", ip="10.1.0.7"))  # fmt: skip
    refused = "urllib.error.URLError: <urlopen error [Errno 111] Connection refused> calling http://cart/\n"
    state = state_of(documents, logs={"cart-1/main": "server listening on port 5000\n", "web-1/main": refused})
    (found,) = findings(state, "service/port-mismatch")
    assert found.strength == "proved"
    assert found.mends[0].patches[0].edits[0].value == 5000
    agreeing = state_of(documents, logs={"cart-1/main": "server listening on port 8000\n", "web-1/main": refused})
    assert not findings(agreeing, "service/port-mismatch")


def test_udp_behind_tcp_is_a_protocol_mismatch() -> None:
    state = state_of(
        pod("dns-1", "app: dns", "{containerPort: 53, protocol: UDP}") + service("dns", "app: dns", "{port: 53}")
    )
    (found,) = findings(state, "service/protocol-mismatch")
    assert mended(state, found)


def test_two_apps_behind_one_selector_but_not_two_releases_of_one() -> None:
    web, cache = (
        pod("web-1", "app: shop, component: web", "{containerPort: 80}"),
        pod("cache-1", "app: shop, component: cache", "{containerPort: 6379}"),
    )
    state = state_of(web + cache + service("web", "app: shop"))
    (found,) = findings(state, "service/selector-overlap")
    assert mended(state, found)
    canary = pod("web-canary-1", "app: shop, component: web, track: canary", "{containerPort: 80}")
    assert not findings(state_of(web + canary + service("web", "app: shop")), "service/selector-overlap")


# -- clients ----------------------------------------------------------------------------------------------------------


def test_an_address_that_names_no_service_is_set_to_the_one_that_exists() -> None:
    state = state_of(
        pod("web-1", "app: web", env="{name: BACKEND, value: 'http://backend-svc:80/x'}") + service("backend", "app: backend"),
        logs={"web-1/main": "GET http://backend-svc:80/x\nrequests.exceptions.ConnectionError: HTTPConnectionPool(host='backend-svc', port=80): "
              "Failed to resolve 'backend-svc' ([Errno -2] Name or service not known)\n"},
    )  # fmt: skip
    (found,) = findings(state, "service/env-address-mismatch")
    assert found.strength == "proved"
    assert found.mends[0].patches[0].edits[0].value == "http://backend:80/x"
    assert mended(state, found)


def test_an_address_that_names_a_service_is_no_mismatch() -> None:
    state = state_of(
        pod("web-1", "app: web", env="{name: BACKEND, value: 'http://backend:80/'}")
        + service("backend", "app: backend"),
        logs={"web-1/main": "getaddrinfo EAI_AGAIN backend\n"},
    )
    assert "service/env-address-mismatch" not in ids(state)


def test_a_pod_that_asks_the_node_resolves_no_cluster_name() -> None:
    documents = pod("web-1", "app: web", env="{name: BACKEND, value: 'http://backend:80/'}") + service(
        "backend", "app: backend"
    )
    log = {"web-1/main": "Error: getaddrinfo ENOTFOUND backend\n"}
    state = state_of(documents.replace("nodeName: n1", "nodeName: n1\n  dnsPolicy: Default"), logs=log)
    (found,) = findings(state, "service/dns-failure")
    assert found.strength == "proved"
    assert mended(state, found)
    assert not findings(state_of(documents, logs=log), "service/dns-failure")


# -- policies ---------------------------------------------------------------------------------------------------------

PAIR = (pod("redis-1", "app: redis", "{name: redis, containerPort: 6379}", ip="10.1.0.3")
        + service("redis", "app: redis", "{port: 6379}")
        + pod("front-1", "app: front, pod-template-hash: abc", env="{name: REDIS, value: 'redis:6379'}", ip="10.1.0.4"))  # fmt: skip
HANGS = {
    "front-1/main": "redis.exceptions.TimeoutError: Timeout connecting to server redis:6379: connection timed out\n"
}


def policy(name: str, spec: str, namespace: str = "shop") -> str:
    return f"apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {{{spec}}}\n---\n"


def test_a_policy_that_admits_another_client_is_blamed_and_corrected() -> None:
    near = policy(
        "redis",
        "podSelector: {matchLabels: {app: redis}}, ingress: [{from: [{podSelector: {matchLabels: {app: fronts}}}], ports: [{port: redis}]}]",
    )
    state = state_of(PAIR + near + policy("deny", "podSelector: {}, policyTypes: [Ingress]"), logs=HANGS)
    (found,) = findings(state, "netpol/ingress-blocked")
    assert found.object.name == "redis"
    assert found.strength == "proved"
    assert found.mends[0].patches[0].edits[0].value == "front"
    assert mended(state, found)


def test_a_default_deny_gets_the_smallest_rule() -> None:
    state = state_of(PAIR + policy("deny", "podSelector: {}, policyTypes: [Ingress]"), logs=HANGS)
    (found,) = findings(state, "netpol/ingress-blocked")
    rule = found.mends[0].patches[0].edits[0].value
    assert rule == {
        "from": [{"podSelector": {"matchLabels": {"app": "front"}}}],
        "ports": [{"protocol": "TCP", "port": 6379}],
    }
    assert mended(state, found)


def test_an_admitting_policy_is_not_blamed() -> None:
    right = policy(
        "redis",
        "podSelector: {matchLabels: {app: redis}}, ingress: [{from: [{podSelector: {matchLabels: {app: front}}}], ports: [{port: 6000, endPort: 7000}]}]",
    )
    everyone = policy("open", "podSelector: {}, ingress: [{}]")
    for text in (right, everyone, policy("other", "podSelector: {matchLabels: {app: mysql}}, policyTypes: [Ingress]")):
        assert not {each for each in ids(state_of(PAIR + text, logs=HANGS)) if each.startswith("netpol/")}


def test_egress_is_judged_on_the_pods_port_not_on_the_services() -> None:
    pair = PAIR.replace(
        "ports: [{port: 6379}], clusterIP", "ports: [{port: 9000, targetPort: redis}], clusterIP"
    ).replace("redis:6379'", "redis:9000'")
    logs = {"front-1/main": HANGS["front-1/main"].replace("6379", "9000")}
    out = "podSelector: {matchLabels: {app: front}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: redis}}}], ports: [{port: %d}]}]"
    (found,) = findings(state_of(pair + policy("out", out % 9000), logs=logs), "netpol/egress-blocked")
    assert found.mends[0].patches[0].edits[0].value == {"protocol": "TCP", "port": 6379}
    assert not findings(state_of(pair + policy("out", out % 6379), logs=logs), "netpol/egress-blocked")


def test_egress_without_port_53_stops_name_resolution() -> None:
    log = {"front-1/main": "Error: getaddrinfo EAI_AGAIN redis\n"}
    state = state_of(
        PAIR + policy("lock", "podSelector: {}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}]}]"), logs=log
    )
    (found,) = findings(state, "netpol/dns-blocked")
    assert mended(state, found)
    assert "53" in found.says
    opened = policy("lock", "podSelector: {}, policyTypes: [Egress], egress: [{ports: [{port: 53, protocol: UDP}]}]")
    assert not findings(state_of(PAIR + opened, logs=log), "netpol/dns-blocked")


# -- routes -----------------------------------------------------------------------------------------------------------


def ingress(klass: str = "web", name: str = "cart", port: str = "number: 80", tls: str = "") -> str:
    return f"""
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: site, namespace: shop}}
spec:
  ingressClassName: {klass}
  tls: [{tls}]
  rules: [{{host: a.example, http: {{paths: [{{path: /, pathType: Prefix, backend: {{service: {{name: {name}, port: {{{port}}}}}}}}}]}}}}]
---
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {{name: web}}
spec: {{controller: example.com/web}}
---
"""


def test_each_way_in_which_an_ingress_leads_nowhere() -> None:
    backend = pod("cart-1", "app: cart") + service("cart", "app: cart", "{port: 80, name: http}")
    for text, id in (
        (ingress(klass="wep"), "ingress/class-missing"),
        (ingress(name="carts"), "ingress/backend-missing"),
        (ingress(port="number: 8080"), "ingress/backend-port-missing"),
        (ingress(port="name: htt"), "ingress/backend-port-missing"),
        (ingress(tls="{hosts: [a.example], secretName: site-tls}"), "ingress/tls-secret-missing"),
    ):
        state = state_of(backend + text, complete=["Secret"])
        assert {each for each in ids(state) if each.startswith("ingress/")} == {id}
        assert mended(state, findings(state, id)[0])
    assert not {each for each in ids(state_of(backend + ingress(), complete=["Secret"])) if each.startswith("ingress/")}


def test_nothing_is_missing_where_nobody_could_look() -> None:
    state = state_of(
        pod("cart-1", "app: cart") + service("cart", "app: cart") + ingress(tls="{secretName: site-tls}"),
        forbidden=["Secret"],
    )
    assert "ingress/tls-secret-missing" not in ids(state)


# -- certificates -----------------------------------------------------------------------------------------------------


def tls_secret(days: int) -> str:
    """A Secret with a certificate that ends so many days after the State's clock, made anew."""
    import base64
    from datetime import timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    from tests.unit.states import NOW

    key, name = (
        ec.generate_private_key(ec.SECP256R1()),
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a.example")]),
    )
    made = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(5)
    made = made.not_valid_before(NOW - timedelta(days=400)).not_valid_after(NOW + timedelta(days=days))
    pem = made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    data = base64.b64encode(pem).decode()
    return f"apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: {{name: site-tls, namespace: shop}}\ndata: {{tls.crt: {data}}}\n---\n"


def test_a_certificate_is_expired_expiring_or_well() -> None:
    found = {
        days: {each for each in ids(state_of(tls_secret(days))) if each.startswith("cert/")} for days in (-3, 5, 90)
    }
    assert found == {-3: {"cert/expired"}, 5: {"cert/expiring"}, 90: set()}


def test_what_is_no_certificate_is_no_trouble() -> None:
    broken = "apiVersion: v1\nkind: Secret\ntype: kubernetes.io/tls\nmetadata: {name: site-tls, namespace: shop}\ndata: {tls.crt: bm90IGEgY2VydA==}\n"
    assert not {each for each in ids(state_of(broken)) if each.startswith("cert/")}
