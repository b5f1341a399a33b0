"""Causes that an application's own log decides: each told from its near misses."""

from __future__ import annotations

from textwrap import indent

from kubectl_ai_intellect.causes.assess import assess, worth
from kubectl_ai_intellect.causes.base import Finding, causes
from kubectl_ai_intellect.causes.commands import commands
from kubectl_ai_intellect.causes.symptoms import derive
from kubectl_ai_intellect.state.graph import State
from tests.unit.states import state_of

OWNED = "ownerReferences: [{ apiVersion: apps/v1, kind: %s, name: %s, controller: true }]"


def crashing(
    container: str, *, pod: str = "", more: str = "", code: int = 1, reason: str = "Error", status: str = ""
) -> str:
    """A Deployment `web` whose one pod ends again and again; `container` holds the container's further fields."""
    spec = f"containers:\n- name: app\n  image: shop/web:2\n{indent(container, '  ')}\n{pod}"
    state = status or "waiting: { reason: CrashLoopBackOff }"
    last = f"terminated: {{ exitCode: {code}, reason: {reason}, startedAt: '2026-01-01T11:50:00Z', finishedAt: '2026-01-01T11:58:00Z' }}"
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{ name: web, namespace: shop, annotations: {{ deployment.kubernetes.io/revision: "2" }} }}
spec:
  replicas: 1
  selector: {{ matchLabels: {{ app: web }} }}
  template:
    metadata: {{ labels: {{ app: web }} }}
    spec:
{indent(spec, "      ")}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: web-2
  namespace: shop
  annotations: {{ deployment.kubernetes.io/revision: "2" }}
  {OWNED % ("Deployment", "web")}
spec:
  template:
    spec:
{indent(spec, "      ")}
---
apiVersion: v1
kind: Pod
metadata:
  name: web-2-x
  namespace: shop
  creationTimestamp: "2026-01-01T11:00:00Z"
  labels: {{ app: web }}
  {OWNED % ("ReplicaSet", "web-2")}
spec:
  nodeName: n1
{indent(spec, "  ")}
status:
  phase: Running
  containerStatuses:
  - name: app
    ready: false
    restartCount: 5
    containerID: containerd://1
    state: {{ {state} }}
    lastState: {{ {last} }}
---
{more}
"""


def found(state: State) -> list[Finding]:
    """What stands, the best first."""
    considered = assess(state, derive(state), causes()).considered
    return sorted((each for each in considered if each.strength != "refuted"), key=worth, reverse=True)


def root(state: State) -> Finding:
    return assess(state, derive(state), causes()).roots[0].finding


def mends(state: State, finding: Finding) -> list[str]:
    return [line for mend in finding.mends for patch in mend.patches for line in commands(state, patch)]


LOG = "web-2-x/app previous"
KEYERROR = 'Traceback (most recent call last):\n  File "/code/main.py", line 3, in <module>\n    os.environ["DB_URL"]\nKeyError: \'DB_URL\'\n'


def test_a_missing_variable_is_named_and_set() -> None:
    state = state_of(crashing("env: [{ name: LOG_LEVEL, value: info }]"), logs={LOG: KEYERROR})
    finding = root(state)
    assert (finding.cause, finding.object.short, finding.strength) == ("app/missing-env", "Deployment/web", "proved")
    assert "DB_URL" in finding.says
    assert "kubectl set env deployment/web -c app 'DB_URL=<VALUE_OF_DB_URL>' -n shop" in mends(state, finding)
    holds = causes()["app/missing-env"].holds
    assert holds is not None
    assert holds(state, finding.object)
    assert not holds(state.patched(*finding.mends[0].patches), finding.object)


def test_a_variable_an_earlier_revision_had_is_put_back() -> None:
    old = f"""
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: web-1
  namespace: shop
  annotations: {{ deployment.kubernetes.io/revision: "1" }}
  {OWNED % ("Deployment", "web")}
spec: {{ template: {{ spec: {{ containers: [{{ name: app, image: "shop/web:2", env: [{{ name: DB_URL, value: "postgres://db" }}] }}] }} }} }}
"""
    state = state_of(crashing("env: []", more=old), logs={LOG: KEYERROR})
    assert mends(state, root(state))[0] == "kubectl set env deployment/web -c app DB_URL=postgres://db -n shop"


def test_a_misspelt_variable_is_renamed() -> None:
    state = state_of(crashing("env: [{ name: DB_ULR, value: x }]"), logs={LOG: KEYERROR})
    assert '"name":"DB_URL"' in mends(state, root(state))[0]


def test_a_dictionary_key_is_no_variable() -> None:
    log = 'Traceback (most recent call last):\n  File "/code/main.py", line 3, in <module>\n    RATES["EXPRESS_RATE"]\nKeyError: \'express\'\n'
    assert root(state_of(crashing(""), logs={LOG: log})).cause == "app/crash"


def test_a_default_that_was_taken_is_no_fault() -> None:
    log = "LOG_LEVEL is not set, using default info\npanic: runtime error: index out of range [3] with length 3\n\ngoroutine 1 [running]:\nmain.main()\n"
    assert root(state_of(crashing(""), logs={LOG: log})).cause == "app/crash"


def test_a_value_that_does_not_parse_is_traced_to_where_it_is_written() -> None:
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: pool, namespace: shop }\ndata: { WORKERS: four }"
    log = "ValueError: invalid literal for int() with base 10: 'four'\n"
    state = state_of(crashing("envFrom: [{ configMapRef: { name: pool } }]", more=config), logs={LOG: log})
    finding = root(state)
    assert finding.cause == "app/bad-config"
    assert "key WORKERS of ConfigMap pool" in finding.says
    assert "configmap pool" in mends(state, finding)[0]


def test_a_missing_file_whose_name_is_nearly_there_is_mounted_under_it() -> None:
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: planner, namespace: shop }\ndata: { planner.yml: a }"
    pod = "volumes: [{ name: c, configMap: { name: planner } }]"
    log = "FileNotFoundError: [Errno 2] No such file or directory: '/etc/planner/planner.yaml'\n"
    state = state_of(
        crashing("volumeMounts: [{ name: c, mountPath: /etc/planner }]", pod=pod, more=config), logs={LOG: log}
    )
    finding = root(state)
    assert finding.cause == "app/file-not-found"
    assert '"path":"planner.yaml"' in mends(state, finding)[0]


def test_a_mount_over_the_program_hides_it() -> None:
    config = "apiVersion: v1\nkind: ConfigMap\nmetadata: { name: site, namespace: shop }\ndata: { site.conf: a }"
    pod = "volumes: [{ name: c, configMap: { name: site } }]"
    log = 'nginx: [emerg] open() "/etc/nginx/nginx.conf" failed (2: No such file or directory)\n'
    state = state_of(
        crashing("volumeMounts: [{ name: c, mountPath: /etc/nginx }]", pod=pod, more=config), logs={LOG: log}
    )
    finding = root(state)
    assert finding.cause == "config/mount-shadows-image"
    assert '"subPath":"site.conf"' in mends(state, finding)[0]
    holds = causes()["config/mount-shadows-image"].holds
    assert holds is not None
    assert not holds(state.patched(*finding.mends[0].patches), finding.object)


def test_a_low_port_needs_a_right() -> None:
    log = "nginx: [emerg] bind() to 0.0.0.0:80 failed (13: Permission denied)\n"
    finding = root(state_of(crashing("securityContext: { runAsUser: 101 }"), logs={LOG: log}))
    assert finding.cause == "app/permission-denied"
    assert "port 80" in finding.says


def test_two_settings_with_one_port_collide() -> None:
    log = "OSError: [Errno 98] Address already in use\n"
    env = "env: [{ name: HTTP_PORT, value: '8080' }, { name: METRICS_PORT, value: '8080' }]"
    state = state_of(crashing(env), logs={LOG: log})
    finding = root(state)
    assert finding.cause == "app/port-in-use"
    assert mends(state, finding)[0] == "kubectl set env deployment/web -c app METRICS_PORT=8081 -n shop"


def test_a_port_between_two_containers_is_another_cause() -> None:
    log = "nginx: [emerg] bind() to 0.0.0.0:80 failed (98: Address already in use)\n"
    state = state_of(crashing("", pod="- name: other\n  image: x\n"), logs={LOG: log})
    assert "app/port-in-use" not in {each.cause for each in found(state)}
    assert root(state).cause == "container/port-conflict"


def test_a_crash_with_a_silent_log_is_only_likely() -> None:
    finding = root(state_of(crashing(""), logs={}))
    assert (finding.cause, finding.strength) == ("app/crash", "likely")


def test_long_service_before_each_death_is_a_leak() -> None:
    text = crashing("resources: { limits: { memory: 64Mi } }", code=137, reason="OOMKilled")
    assert root(state_of(text)).cause == "container/oom-killed"  # eight minutes
    slow = text.replace("11:50:00Z', finishedAt", "10:50:00Z', finishedAt")
    assert root(state_of(slow)).cause == "app/memory-leak"


SERVICE = """
apiVersion: v1
kind: Service
metadata: { name: cache, namespace: shop }
spec: { clusterIP: 10.96.0.9, selector: { app: cache }, ports: [{ port: 6379 }] }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: cache-1, namespace: shop, labels: { kubernetes.io/service-name: cache } }
endpoints: [{ addresses: [10.244.0.9], conditions: { ready: true } }]
---
apiVersion: v1
kind: Pod
metadata: { name: cache, namespace: shop, labels: { app: cache } }
spec: { nodeName: n1, containers: [{ name: redis, image: "redis:7", ports: [{ containerPort: 6379 }] }] }
status:
  phase: Running
  conditions: [{ type: Ready, status: "True" }]
  containerStatuses: [{ name: redis, ready: true, restartCount: 0, containerID: c, state: { running: { startedAt: "2026-01-01T10:00:00Z" } } }]
"""


def test_a_port_that_the_service_does_not_have_is_the_clients_fault() -> None:
    log = "Error 111 connecting to cache:6380. Connection refused.\n"
    state = state_of(
        crashing("env: [{ name: REDIS_URL, value: 'redis://cache:6380/0' }]", more=SERVICE), logs={LOG: log}
    )
    finding = root(state)
    assert (finding.cause, finding.object.short) == ("app/dependency-wrong-port", "Deployment/web")
    assert mends(state, finding)[0] == "kubectl set env deployment/web -c app REDIS_URL=redis://cache:6379/0 -n shop"
    holds = causes()["app/dependency-wrong-port"].holds
    assert holds is not None
    assert not holds(state.patched(*finding.mends[0].patches), finding.object)


def test_a_port_written_beside_the_host_is_changed_there() -> None:
    log = "dial tcp 10.96.0.9:6380: connect: connection refused\n"
    env = "env: [{ name: CACHE_HOST, value: cache }, { name: CACHE_PORT, value: '6380' }]"
    state = state_of(crashing(env, more=SERVICE), logs={LOG: log})
    assert mends(state, root(state))[0] == "kubectl set env deployment/web -c app CACHE_PORT=6379 -n shop"


def test_the_right_port_refused_is_not_a_wrong_port() -> None:
    log = "Error 111 connecting to cache:6379. Connection refused.\n"
    state = state_of(
        crashing("env: [{ name: REDIS_URL, value: 'redis://cache:6379/0' }]", more=SERVICE), logs={LOG: log}
    )
    assert "app/dependency-wrong-port" not in {each.cause for each in found(state)}


def test_rejected_credentials_are_compared_by_where_they_come_from() -> None:
    server = (
        SERVICE.replace("6379", "5432")
        .replace("cache", "db")
        .replace(
            'image: "redis:7"',
            'image: "postgres:16", env: [{ name: POSTGRES_PASSWORD, valueFrom: { secretKeyRef: { name: db-admin, key: pw } } }]',
        )
    )
    log = 'psycopg2.OperationalError: connection to server at "db" (10.96.0.9), port 5432 failed: FATAL:  password authentication failed for user "app"\n'
    env = (
        "env: [{ name: PGPASSWORD, valueFrom: { secretKeyRef: { name: web, key: pw } } }, { name: PGHOST, value: db }]"
    )
    state = state_of(crashing(env, more=server), logs={LOG: log})
    finding = root(state)
    assert (finding.cause, finding.object.short) == ("app/auth-failed", "Deployment/web")
    assert '"name":"db-admin"' in mends(state, finding)[0]


def test_an_unreachable_outside_host_is_more_than_a_crash() -> None:
    log = "Error: connect ECONNREFUSED 203.0.113.7:443\n    at TCPConnectWrap.afterConnect [as oncomplete] (node:net:1595:16)\n"
    assert root(state_of(crashing(""), logs={LOG: log})).cause == "app/dependency-unreachable"


def test_an_outside_name_that_does_not_resolve() -> None:
    log = "Error: getaddrinfo ENOTFOUND api.partner.example\n"
    state = state_of(crashing("env: [{ name: PARTNER, value: 'https://api.partner.example' }]"), logs={LOG: log})
    finding = root(state)
    assert finding.cause == "app/dependency-dns"
    assert "<HOST>" in mends(state, finding)[0]


def test_a_cloud_identity_that_is_not_declared() -> None:
    account = "apiVersion: v1\nkind: ServiceAccount\nmetadata: { name: default, namespace: shop }"
    log = "botocore.exceptions.ClientError: An error occurred (AccessDenied) when calling the PutObject operation: Access Denied\n"
    finding = root(state_of(crashing("", more=account), logs={LOG: log}))
    assert (finding.cause, finding.object.short) == ("app/cloud-identity-denied", "ServiceAccount/default")


def test_a_name_the_log_does_not_give_is_the_only_outside_one_configured() -> None:
    log = "urllib.error.URLError: <urlopen error [Errno -2] Name or service not known>\n"
    state = state_of(crashing("env: [{ name: RATES, value: 'https://api.rates.example/v2' }]"), logs={LOG: log})
    finding = root(state)
    assert finding.cause == "app/dependency-dns"
    assert "api.rates.example" in finding.says
    two = "env: [{ name: RATES, value: 'https://api.rates.example/v2' }, { name: AUTH, value: 'https://login.example/v1' }]"
    assert "app/dependency-dns" not in {each.cause for each in found(state_of(crashing(two), logs={LOG: log}))}
