"""Causes around a container's start: images, configuration, the command, memory, probes; each with a near miss."""

from __future__ import annotations

import pytest

from kubectl_ai_intellect.causes.base import causes
from kubectl_ai_intellect.state.graph import State
from tests.unit.states import state_of
from tests.unit.test_causes_app import LOG, crashing, found, mends, root


def waiting(reason: str, message: str = "") -> str:
    return f"waiting: {{ reason: {reason}, message: {message!r} }}"


def event(reason: str, message: str, part: str = "app") -> str:
    quoted = message.replace("'", "''")
    return f"""
apiVersion: v1
kind: Event
metadata: {{ name: "e-{abs(hash(message)) % 10**6}", namespace: shop }}
involvedObject: {{ apiVersion: v1, kind: Pod, namespace: shop, name: web-2-x, fieldPath: "spec.containers{{{part}}}" }}
reason: {reason}
type: Warning
message: '{quoted}'
count: 4
lastTimestamp: "2026-01-01T11:59:30Z"
firstTimestamp: "2026-01-01T11:40:00Z"
---
"""


def pulling(message: str, *, reason: str = "ImagePullBackOff", more: str = "", pod: str = "") -> State:
    text = crashing("", status=waiting(reason), more=event("Failed", message) + more, pod=pod)
    text = text.replace("lastState: { terminated", "was: { terminated")
    return state_of(text, complete=["Secret", "ServiceAccount"])


# The words of containerd 1.7 and 2.x, of cri-o and of docker's own registry.
WORDS = {
    "image/not-found": [
        'Failed to pull image "shop/web:2": rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/shop/web:2": '
        'failed to resolve reference "docker.io/shop/web:2": docker.io/shop/web:2: not found',
        'Failed to pull image "shop/web:2": rpc error: code = Unknown desc = reading manifest 2 in docker.io/shop/web: manifest unknown: manifest unknown',
        'Failed to pull image "shop/web:2": Error response from daemon: manifest for shop/web:2 not found: manifest unknown: manifest unknown',
    ],
    "image/pull-auth": [
        'Failed to pull image "shop/web:2": failed to pull and unpack image "docker.io/shop/web:2": failed to resolve reference '
        '"docker.io/shop/web:2": failed to authorize: failed to fetch anonymous token: unexpected status from GET request: 401 Unauthorized',
        'Failed to pull image "shop/web:2": failed to pull and unpack image "docker.io/shop/web:2": failed to resolve reference '
        '"docker.io/shop/web:2": pull access denied, repository does not exist or may require authorization: server message: '
        "insufficient_scope: authorization failed",
        'Failed to pull image "shop/web:2": unexpected status from HEAD request to https://x/v2/shop/web/manifests/2: 403 Forbidden',
        'Failed to pull image "shop/web:2": rpc error: code = Unknown desc = Error response from daemon: Get "https://x/v2/": no basic auth credentials',
    ],
    "image/rate-limited": [
        'Failed to pull image "shop/web:2": failed to copy: httpReadSeeker: failed open: unexpected status code '
        "https://registry-1.docker.io/v2/shop/web/manifests/sha256:1: 429 Too Many Requests - Server message: toomanyrequests: "
        "You have reached your unauthenticated pull rate limit. https://www.docker.com/increase-rate-limit",
    ],
    "image/registry-dns": [
        'Failed to pull image "shop/web:2": failed to do request: Head "https://x.invalid/v2/shop/web/manifests/2": dial tcp: lookup '
        "x.invalid on 10.0.0.2:53: no such host",
        'Failed to pull image "shop/web:2": failed to do request: Head "https://x.invalid/v2/": dial tcp: lookup x.invalid on '
        "10.0.0.2:53: read udp 10.0.0.5:4411->10.0.0.2:53: i/o timeout",
        'Failed to pull image "shop/web:2": pinging container registry x.invalid: dial tcp: lookup x.invalid: Temporary failure in name resolution',
    ],
    "image/registry-unreachable": [
        'Failed to pull image "shop/web:2": failed to do request: Head "https://x:5000/v2/": dial tcp 10.1.2.3:5000: connect: connection refused',
        'Failed to pull image "shop/web:2": failed to do request: Head "https://x/v2/": dial tcp 10.1.2.3:443: i/o timeout',
        'Failed to pull image "shop/web:2": failed to do request: Head "https://x:5000/v2/": http: server gave HTTP response to HTTPS client',
        'Failed to pull image "shop/web:2": failed to do request: Head "https://x/v2/": tls: failed to verify certificate: x509: certificate '
        "signed by unknown authority",
        'Failed to pull image "shop/web:2": unexpected status from HEAD request to https://x/v2/shop/web/manifests/2: 503 Service Unavailable',
    ],
    "image/architecture-mismatch": [
        'Failed to pull image "shop/web:2": rpc error: code = NotFound desc = failed to pull and unpack image "docker.io/shop/web:2": '
        "no match for platform in manifest: not found",
    ],
}  # fmt: skip


@pytest.mark.parametrize(("cause", "message"), [(cause, words) for cause, all in WORDS.items() for words in all])
def test_each_wording_of_a_failing_pull(cause: str, message: str) -> None:
    finding = root(pulling(message))
    assert (finding.cause, finding.object.short) == (cause, "Deployment/web")


def test_a_missing_pull_secret_is_the_reason_for_the_refusal() -> None:
    message = WORDS["image/pull-auth"][0]
    pod = "imagePullSecrets: [{ name: regcred }]\n"
    assert root(pulling(message, pod=pod)).cause == "image/pull-secret-missing"
    there = "apiVersion: v1\nkind: Secret\nmetadata: { name: regcred, namespace: shop }\ntype: kubernetes.io/dockerconfigjson"
    assert root(pulling(message, pod=pod, more=there)).cause == "image/pull-auth"


def test_a_pull_that_fails_for_one_container_says_nothing_of_another() -> None:
    aside = event("Failed", 'Failed to pull image "other/side:1": not found', part="side")
    state = pulling("Error: ImagePullBackOff", more=aside)
    assert "image/not-found" not in {each.cause for each in found(state)}


def test_an_invalid_image_name() -> None:
    text = crashing("", status=waiting("InvalidImageName")).replace("lastState: { terminated", "was: { terminated")
    assert root(state_of(text)).cause == "image/invalid-name"


START = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: "


@pytest.mark.parametrize(
    ("code", "message", "cause"),
    [
        (
            128,
            START + 'error during container init: exec: "serve": executable file not found in $PATH',
            "container/command-not-found",
        ),
        (
            127,
            START + 'exec: "/app/run": stat /app/run: no such file or directory: unknown',
            "container/command-not-found",
        ),
        (
            126,
            START + 'error during container init: exec: "/app/run": permission denied: unknown',
            "container/command-not-executable",
        ),
        (128, START + "exec /app/run: exec format error", "image/architecture-mismatch"),
    ],
)
def test_what_the_runtime_says_of_a_start(code: int, message: str, cause: str) -> None:
    text = crashing("command: [/app/run]", code=code, reason="StartError").replace(
        "reason: StartError", f"reason: StartError, message: '{message}'"
    )
    assert root(state_of(text)).cause == cause


def test_a_shell_that_does_not_find_a_program() -> None:
    state = state_of(crashing("command: [sh, -c, serve]", code=127), logs={LOG: "sh: serve: not found\n"})
    assert root(state).cause == "container/command-not-found"


def test_a_program_that_exits_127_for_its_own_reason_is_only_likely() -> None:
    state = state_of(crashing("", code=127), logs={LOG: "bye\n"})
    finding = root(state)
    assert (finding.cause, finding.strength) == ("container/command-not-found", "likely")


def test_memory_gets_an_earlier_limit_back_or_is_doubled() -> None:
    state = state_of(crashing("resources: { limits: { memory: 96Mi } }", code=137, reason="OOMKilled"))
    finding = root(state)
    assert finding.cause == "container/oom-killed"
    assert mends(state, finding) == ["kubectl set resources deployment/web -c app --limits=memory=192Mi -n shop"]


def refused(
    container: str, message: str, more: str = "", complete: tuple[str, ...] = ("Secret",), pod: str = ""
) -> State:
    text = crashing(
        container,
        status=waiting("CreateContainerConfigError", message),
        more=event("Failed", f"Error: {message}") + more,
        pod=pod,
    )
    return state_of(text.replace("lastState: { terminated", "was: { terminated"), complete=complete)


def test_a_configmap_of_nearly_that_name_is_offered_and_clears_it() -> None:
    there = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: web-settings, namespace: shop }\ndata: { A: b }"
    state = refused("envFrom: [{ configMapRef: { name: web-setting } }]", 'configmap "web-setting" not found', there)
    finding = root(state)
    assert finding.cause == "config/configmap-missing"
    assert "web-settings" in mends(state, finding)[0]
    holds = causes()["config/configmap-missing"].holds
    assert holds is not None
    assert not holds(state.patched(*finding.mends[0].patches), finding.object)


def test_a_secret_that_could_not_be_listed_is_not_called_missing() -> None:
    text = crashing(
        "envFrom: [{ secretRef: { name: db } }]", status=waiting("CreateContainerConfigError", 'secret "db" not found')
    )
    state = state_of(text.replace("lastState: { terminated", "was: { terminated"), forbidden=["Secret"])
    assert not [
        each
        for each in found(state)
        if each.cause == "config/secret-missing" and "Secret/db does not exist" in str(each.supports)
    ]


@pytest.mark.parametrize(
    ("message", "cause"),
    [
        ('secret "db" not found', "config/secret-missing"),
        ("couldn't find key token in Secret shop/db", "config/secret-key-missing"),
    ],
)
def test_the_kubelets_word_counts_where_the_secret_may_not_be_read(message: str, cause: str) -> None:
    text = crashing(
        "env: [{ name: T, valueFrom: { secretKeyRef: { name: db, key: token } } }]",
        status=waiting("CreateContainerConfigError", message),
    ).replace("lastState: { terminated", "was: { terminated")
    assert root(state_of(text, forbidden=["Secret"])).cause == cause
    other = text.replace("db", "other").replace("name: other, key", "name: db, key")
    assert cause not in {each.cause for each in found(state_of(other, forbidden=["Secret"]))}


def test_keys_are_compared_and_an_optional_one_is_none_of_our_business() -> None:
    there = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: c, namespace: shop }\ndata: { PAYMENT_URL: b }"
    env = "env: [{ name: P, valueFrom: { configMapKeyRef: { name: c, key: PAYMENTS_URL%s } } }]"
    message = "couldn't find key PAYMENTS_URL in ConfigMap shop/c"
    assert root(refused(env % "", message, there)).cause == "config/configmap-key-missing"
    assert "config/configmap-key-missing" not in {
        each.cause for each in found(refused(env % ", optional: true", message, there))
    }


def test_a_root_image_under_run_as_nonroot() -> None:
    message = 'container has runAsNonRoot and image will run as root (pod: "web-2-x_shop(1)", container: app)'
    finding = root(refused("securityContext: { runAsNonRoot: true }", message))
    assert finding.cause == "container/run-as-nonroot"


def probing(
    probe: str, message: str, *, kind: str = "readiness", log: str = "", ports: str = "ports: [{ containerPort: 80 }]"
) -> State:
    killed = event("Killing", "Container app failed liveness probe, will be restarted") if kind == "liveness" else ""
    status = "running: { startedAt: '2026-01-01T11:58:30Z' }"
    text = crashing(
        f"{ports}\n{kind}Probe: {probe}", status=status, more=event("Unhealthy", message) + killed, code=137
    )
    if kind == "readiness":
        text = text.replace("lastState: { terminated", "was: { terminated").replace(
            "restartCount: 5", "restartCount: 0"
        )
    return state_of(text, logs={"web-2-x/app": log} if log else {})


def capital(kind: str) -> str:
    return kind.capitalize()


@pytest.mark.parametrize("kind", ["readiness", "liveness"])
@pytest.mark.parametrize(
    ("probe", "said", "cause"),
    [
        (
            "{ httpGet: { path: /, port: 8080 } }",
            'Get "http://10.0.0.1:8080/": dial tcp 10.0.0.1:8080: connect: connection refused',
            "wrong-port",
        ),
        ("{ tcpSocket: { port: 8080 } }", "dial tcp 10.0.0.1:8080: connect: connection refused", "wrong-port"),
        ("{ httpGet: { path: /live, port: 80 } }", "HTTP probe failed with statuscode: 404", "wrong-path"),
        (
            "{ httpGet: { path: /, port: 80, scheme: HTTPS } }",
            'Get "https://10.0.0.1:80/": http: server gave HTTP response to HTTPS client',
            "wrong-protocol",
        ),
        (
            "{ httpGet: { path: /, port: 80 } }",
            'Get "http://10.0.0.1:80/": net/http: HTTP/1.x transport connection broken: malformed HTTP response "\\x00\\x00"',
            "wrong-protocol",
        ),
        ("{ httpGet: { path: /, port: 80 } }", "HTTP probe failed with statuscode: 503", "failing"),
    ],
)
def test_what_the_kubelet_says_of_a_probe(kind: str, probe: str, said: str, cause: str) -> None:
    finding = root(probing(probe, f"{capital(kind)} probe failed: {said}", kind=kind, log="GET / 200\n"))
    assert finding.cause == f"probe/{kind}-{cause}"


def test_a_refused_probe_of_the_declared_port_is_no_wrong_port() -> None:
    state = probing(
        "{ httpGet: { path: /, port: 80 } }",
        'Readiness probe failed: Get "http://10.0.0.1:80/": dial tcp 10.0.0.1:80: connect: connection refused',
    )
    assert "probe/readiness-wrong-port" not in {each.cause for each in found(state)}


def test_the_log_tells_the_port_better_than_the_declaration() -> None:
    said = 'Readiness probe failed: Get "http://10.0.0.1:80/": dial tcp 10.0.0.1:80: connect: connection refused'
    state = probing("{ httpGet: { path: /, port: 80 } }", said, log="server listening on port 9090\n")
    finding = root(state)
    assert finding.cause == "probe/readiness-wrong-port"
    assert "9090" in mends(state, finding)[0]


def test_what_the_kubelet_said_last_counts_more_than_what_it_said_at_the_start() -> None:
    early = event(
        "Unhealthy",
        'Readiness probe failed: Get "http://10.0.0.1:80/": dial tcp 10.0.0.1:80: connect: connection refused',
    )
    early = early.replace("11:59:30", "11:41:00")
    state = probing("{ httpGet: { path: /, port: 80 } }", 'Readiness probe failed: Get "http://10.0.0.1:80/": EOF')
    assert root(state).cause == "probe/readiness-wrong-protocol"
    status = "running: { startedAt: '2026-01-01T11:40:30Z' }"
    late = event("Unhealthy", 'Readiness probe failed: Get "http://10.0.0.1:80/": EOF')
    container = "ports: [{ containerPort: 80 }]\nreadinessProbe: { httpGet: { path: /, port: 80 } }"
    text = crashing(container, status=status, more=early + late).replace("lastState: { terminated", "was: { terminated")
    assert root(state_of(text)).cause == "probe/readiness-wrong-protocol"


def test_an_init_container_is_told_as_one() -> None:
    text = crashing("", status="waiting: { reason: PodInitializing }").replace(
        "lastState: { terminated", "was: { terminated"
    )
    init = "  initContainers: [{ name: migrate, image: x }]\nstatus:\n  phase: Pending\n"
    init += "  initContainerStatuses:\n  - { name: migrate, ready: false, restartCount: 3, containerID: c, state: { waiting: { reason: CrashLoopBackOff } }, "
    init += "lastState: { terminated: { exitCode: 3, reason: Error, finishedAt: '2026-01-01T11:59:00Z' } } }\n"
    state = state_of(
        text.replace("status:\n  phase: Running\n", init), logs={"web-2-x/migrate previous": "step 3 of 9 gave up\n"}
    )
    finding = root(state)
    assert finding.cause == "container/init-failed"
    assert "step 3 of 9" in str(finding.supports)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("https://shop/web:2", "shop/web:2"),
        ("Shop/Web:2", "shop/web:2"),
        ("shop/web:", "shop/web"),
        ("reg.test:5000/Team/app", "reg.test:5000/team/app"),
    ],
)
def test_an_invalid_name_is_written_as_it_was_meant(written: str, meant: str) -> None:
    text = crashing("", status=waiting("InvalidImageName")).replace("lastState: { terminated", "was: { terminated")
    state = state_of(text.replace("image: shop/web:2", f"image: {written!r}"))
    assert mends(state, root(state))[0] == f"kubectl set image deployment/web app={meant} -n shop"


def test_a_java_heap_over_the_limit_is_told() -> None:
    container = "command: [java, -Xmx512m, -jar, app.jar]\nresources: { limits: { memory: 256Mi } }"
    finding = root(state_of(crashing(container, code=137, reason="OOMKilled")))
    assert "heap alone may grow to 512Mi" in finding.says
    within = root(state_of(crashing(container.replace("512m", "128m"), code=137, reason="OOMKilled")))
    assert "heap" not in within.says
