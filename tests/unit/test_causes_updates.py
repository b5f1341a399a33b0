"""Changes that do not arrive, children killed for memory, and healthy targets whose kin is not."""

from __future__ import annotations

import pytest

from kubectl_ai_intellect.causes.assess import examine
from kubectl_ai_intellect.causes.base import Finding, Symptom, causes
from kubectl_ai_intellect.causes.symptoms import derive
from kubectl_ai_intellect.causes.symptoms.asked import refused
from kubectl_ai_intellect.evidence.logs import digest
from kubectl_ai_intellect.investigate.connected import connected
from kubectl_ai_intellect.kube.refs import ref
from kubectl_ai_intellect.kube.source import Fetched, logs_of
from kubectl_ai_intellect.question import understand
from kubectl_ai_intellect.question.pasted import read_pasted
from kubectl_ai_intellect.state.graph import State
from tests.unit.states import state_of


def findings(state: State, id: str, *told: Symptom) -> list[Finding]:
    found = examine(state, [*derive(state), *told], {id: causes()[id]})
    return [each for group in found.values() for each in group]


def healed(state: State, found: Finding) -> bool:
    holds = causes()[found.cause].holds
    assert holds is not None
    return holds(state, found.object) and not holds(state.patched(*found.mends[0].patches), found.object)


STATEFUL = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {{name: db, namespace: shop, uid: s1, generation: 2}}
spec:
  replicas: 2
  updateStrategy: {strategy}
  selector: {{matchLabels: {{app: db}}}}
  template:
    metadata: {{labels: {{app: db}}}}
    spec: {{containers: [{{name: db, image: "db:2"}}]}}
status:
  {{observedGeneration: 2, replicas: 2, readyReplicas: 2, availableReplicas: 2, currentRevision: db-1, updateRevision: db-2,
   updatedReplicas: {updated}}}
"""


@pytest.mark.parametrize(
    ("strategy", "updated", "held"),
    [
        ("{type: OnDelete}", 0, True),
        ("{type: RollingUpdate, rollingUpdate: {partition: 2}}", 0, True),
        ("{type: RollingUpdate, rollingUpdate: {partition: 0}}", 1, False),  # simply under way
        ("{type: OnDelete}", 2, False),  # all pods were deleted by hand
    ],
)
def test_an_update_that_its_strategy_holds_back(strategy: str, updated: int, held: bool) -> None:
    state = state_of(STATEFUL.format(strategy=strategy, updated=updated))
    found = findings(state, "workload/update-held")
    assert bool(found) is held
    if found:
        assert found[0].strength == "proved"
        assert healed(state, found[0])


SELECTED = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, uid: d1}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: "web:1"}]}
status: {availableReplicas: 1}
"""
REFUSED = (
    'The Deployment "web" is invalid: spec.selector: Invalid value: {"matchLabels":{"app":"site"}}: field is immutable'
)


def test_a_selector_that_was_to_be_changed_is_known_from_the_words() -> None:
    state = state_of(SELECTED)
    (symptom,) = refused(state, f"why does apply say: {REFUSED}")
    (found,) = findings(state, "workload/selector-immutable", symptom)
    assert (found.object.short, found.strength) == ("Deployment/web", "likely")
    assert "app=web" in found.says
    assert list(refused(state, REFUSED.replace('"web"', '"other"'))) == []
    assert list(refused(state, 'The Deployment "web" is invalid: spec.replicas: Invalid value: -1')) == []


def test_a_refusal_through_the_pipe_names_its_object() -> None:
    said = read_pasted(f"Error: UPGRADE FAILED: cannot patch: {REFUSED}\n")
    assert [each.name for each in said.refs] == ["web"]
    assert "field is immutable" in said.lines[0]


POD = """
apiVersion: v1
kind: Pod
metadata: {{name: thumbs-1, namespace: shop, labels: {{app: thumbs}}}}
spec:
  containers: [{{name: app, image: "app:1", resources: {{limits: {{memory: 64Mi}}}}, securityContext: {{readOnlyRootFilesystem: {fixed}}}}}]
status:
  phase: Running
  conditions: [{{type: Ready, status: "{ready}"}}]
  containerStatuses: [{status}]
"""
WELL = (
    "{name: app, ready: true, restartCount: 0, containerID: c1, state: {running: {startedAt: '2026-01-01T00:00:00Z'}}}"
)
DEAD = (
    "{name: app, ready: false, restartCount: 4, containerID: c1, state: {waiting: {reason: CrashLoopBackOff}}, "
    "lastState: {terminated: {exitCode: 1, finishedAt: '2026-01-01T00:00:00Z'}}}"
)
CONTAINER = ref("Pod", "shop", "thumbs-1").at("app")


@pytest.mark.parametrize(
    "line",
    [
        "[2026-01-01 00:00:09 +0000] [1] [ERROR] Worker (pid:22) was sent SIGKILL! Perhaps out of memory?",
        "[01-Jan-2026 00:11:19] WARNING: [pool www] child 44 exited on signal 9 (SIGKILL) after 7.1 seconds from start",
        "DAMN ! worker 1 (pid: 10) died, killed by signal 9 :( trying respawn ...",
    ],
)
def test_a_child_killed_for_memory_shows_in_the_log_only(line: str) -> None:
    state = state_of(POD.format(fixed="false", ready="True", status=WELL))
    assert findings(state, "container/oom-killed") == []
    state = state.including([Fetched(logs_of(CONTAINER), data=f"{line}\n".encode())])
    (found,) = findings(state, "container/oom-killed")
    assert found.strength == "likely"
    assert "64Mi" in found.says


def test_a_read_only_root_is_a_guess_where_the_log_is_gone() -> None:
    for fixed, expected in (("true", ["possible"]), ("false", [])):
        state = state_of(POD.format(fixed=fixed, ready="False", status=DEAD))
        assert [each.strength for each in findings(state, "container/read-only-rootfs")] == expected


def test_the_exit_code_makes_last_words_fatal() -> None:
    line = b"2026-01-01T00:00:00Z WARN cannot connect to db:5432: connection refused\n"
    assert not digest([line]).hits[0].fatal
    assert digest([line], exit_code=1).hits[0].fatal
    state = state_of(POD.format(fixed="false", ready="False", status=DEAD))
    state = state.including([Fetched(logs_of(CONTAINER, previous=True), data=line)])
    found = state.log(CONTAINER, previous=True)
    assert found.hits[0].fatal  # type: ignore[union-attr]


FAMILY = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop, uid: d1, labels: {app: web}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: "web:1"}]}}
status: {availableReplicas: 1}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: web, namespace: shop}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: web}, maxReplicas: 3}
status: {conditions: [{type: AbleToScale, status: "False", reason: FailedGetScale}]}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: elsewhere, namespace: shop}
spec: {scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: elsewhere}, maxReplicas: 3}
status: {conditions: [{type: AbleToScale, status: "False", reason: FailedGetScale}]}
"""


def test_a_healthy_target_leads_to_its_namesakes_and_to_nobody_else() -> None:
    state = state_of(FAMILY)
    found = connected(state, list(derive(state)), ref("Deployment", "shop", "web"))
    assert {each.at.name for each in found} == {"web"}


@pytest.mark.parametrize(
    "text", ["the nightly report did not arrive", "no database backups since yesterday", "invoices miss a page"]
)
def test_plain_prose_about_what_runs_is_a_question(text: str) -> None:
    assert understand(text).intent == "diagnosis"


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        ("missing-env", "called `Result::unwrap()` on an `Err` value: EnvVar(NotPresent)"),
        ("missing-env", 'Error: missing value for field "redis_url"'),
        (
            "missing-env",
            "java.util.NoSuchElementException: SRCFG00011: Could not expand value DB_PASSWORD in property x",
        ),
        ("auth-failed", "redis.exceptions.AuthenticationError: Authentication required."),
        ("auth-failed", "nats: Authorization Violation"),
        ("db-read-only", 'Failed to update database "orders" because the database is read-only.'),
        ("connections-exhausted", "SequelizeConnectionAcquireTimeoutError: Operation timeout"),
        ("bad-config", "[ALERT] (1) : config : parsing [/etc/haproxy/haproxy.cfg:23] : unknown keyword 'blance'"),
        ("bad-config", 'panic: time: invalid duration "5 minutes"'),
        ("bad-config", "AH00526: Syntax error on line 12 of /etc/apache2/sites-enabled/000-default.conf:"),
    ],
)
def test_wordings_of_clients_and_servers(kind: str, line: str) -> None:
    assert digest([f"{line}\n".encode()], exit_code=1).hits[0].kind == kind


def test_an_end_user_who_cannot_log_in_is_no_client_that_is_refused() -> None:
    text = b"ERROR LdapAuthenticator : login failed for user jdoe\njavax.net.ssl.SSLHandshakeException: PKIX path validation failed\n"
    assert digest([text]).hits[0].kind == "tls-failed"
