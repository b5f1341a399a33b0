"""`doctor`: the rights a diagnosis needs, the role that grants them, and what each check says when things are wrong."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.town import FAULTY, town
from kubectl_ai_intellect.causes.needs import FIRST_LOOK
from kubectl_ai_intellect.cli.doctor import is_doctor
from kubectl_ai_intellect.doctor import cluster, machine
from kubectl_ai_intellect.doctor.check import Check, ok, report, worst
from kubectl_ai_intellect.doctor.rights import READ, RIGHTS, reached
from kubectl_ai_intellect.doctor.role import role
from kubectl_ai_intellect.doctor.text import lines
from kubectl_ai_intellect.errors import UsageError
from kubectl_ai_intellect.kube.case import CaseSource, Recorder
from kubectl_ai_intellect.kube.config import Flags
from kubectl_ai_intellect.kube.refs import KNOWN, Resource
from kubectl_ai_intellect.kube.source import Fetched, Read
from kubectl_ai_intellect.render.terminal import Paper
from tests.player import Fault, Player, failing, forbidden, slow, unauthorized
from tests.player.recorded import world_of
from tests.scenarios.asking import ask
from tests.scenarios.recorded import Recording, recordings
from tests.scenarios.share import drawn, everything

PACKAGE = Path(machine.__file__).parents[1]
KINDS = {(each.group, each.kind) for each in RIGHTS}
RECORDINGS = recordings()
NAMES = drawn([each.name for each in RECORDINGS], len(RECORDINGS) if everything() else 5, "rights")
DRAWN = [each for each in RECORDINGS if each.name in NAMES]
WORLD, _ = world_of(town(24, 6, 2))


# -- the table of rights -------------------------------------------------------------------------------------------


SOURCE = "".join(path.read_text() for room in ("causes", "inform", "investigate", "state", "question")
                 for path in (PACKAGE / room).rglob("*.py"))  # fmt: skip


def test_the_rights_cover_all_reads_that_the_source_spells_out() -> None:
    calls = re.findall(r"\b(?:lists|list_of|get_of\(ref|Read\(\"(?:list|get)\", ref)\(([^)]*)\)", SOURCE)
    kinds = {kind for call in calls for kind in re.findall(r'"([A-Z]\w+)"', call)} | set(FIRST_LOOK)
    assert len(kinds) > 20, "the pattern still finds the reads"
    assert (kinds & {kind for _, kind in KNOWN}) - {kind for _, kind in KINDS} == set()


@pytest.mark.parametrize("recording", DRAWN, ids=lambda each: each.name)
def test_the_rights_cover_all_that_an_incident_reads(recording: Recording) -> None:
    """A share of the incidents, another with each commit."""
    recorder = Recorder(CaseSource(recording.case), lambda text: text)
    ask(recorder, recording.question, recording.case.namespace)
    case = recorder.case()
    read = {(each.group, each.kind) for each in (*case.lists, *case.absent)}
    assert {each for each in read if each in KNOWN} - KINDS == set()


def test_every_right_is_one_that_some_mechanism_uses() -> None:
    assert [kind for _, kind in KINDS if f'"{kind}"' not in SOURCE] == []


def test_every_right_says_what_is_lost_without_it() -> None:
    assert all(len(each.costs) > 10 for each in RIGHTS)
    assert {verb for each in RIGHTS for verb in each.verbs} == set(READ)


def rules(text: str) -> set[tuple[str, str, str]]:
    return {(group, resource, verb) for rule in yaml.safe_load(text)["rules"] for group in rule["apiGroups"]
            for resource in rule["resources"] for verb in rule["verbs"]}  # fmt: skip


def test_the_role_grants_the_rights_and_nothing_else() -> None:
    text = role()
    assert yaml.safe_load(text)["kind"] == "ClusterRole"
    assert rules(text) == {(each.group, each.plural, verb) for each in RIGHTS for verb in each.verbs}
    assert "*" not in text


def test_the_role_of_a_namespace_grants_what_a_role_can_and_names_the_rest() -> None:
    text = role("payments")
    document = yaml.safe_load(text)
    assert (document["kind"], document["metadata"]["namespace"]) == ("Role", "payments")
    assert rules(text) == {(each.group, each.plural, verb) for each in RIGHTS if each.namespaced for verb in each.verbs}
    outside = re.search(r"outside its namespace: (.+)\.", text)
    assert outside is not None
    assert set(outside[1].split(", ")) == {each.plural for each in RIGHTS if not each.namespaced}


def test_the_role_without_its_rule_for_secrets_is_a_role() -> None:
    text = role()
    cut = text[: text.index("# Secrets")]
    assert rules(text) - rules(cut) == {("", "secrets", "get"), ("", "secrets", "list")}


def test_custom_kinds_are_granted_by_their_group() -> None:
    database = Resource("db.example.com", "v1", "Database", "databases", True)
    assert ("db.example.com", "databases", "list") in rules(role(custom=[database]))


@pytest.mark.parametrize("name", ["x\nrules: []", "Payments", "-x", "a" * 64, "../x"])
def test_a_role_for_what_is_no_namespace_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="no name of a namespace"):
        role(name)


# -- how far rights go ---------------------------------------------------------------------------------------------


class Reviewer:
    """A source that answers only reviews, by a rule."""

    def __init__(self, allows: Callable[[Read], bool]) -> None:
        self.allows = allows

    def fetch(self, reads: Sequence[Read]) -> list[Fetched]:
        assert {read.what for read in reads} <= {"can-i"}
        return [Fetched(read, allowed=self.allows(read)) for read in reads]


def rights_check(allows: Callable[[Read], bool], *, only: bool = False) -> Check:
    source: Any = Reviewer(allows)
    return cluster._rights(reached(source, RIGHTS, "shop", only=only), "shop", only)


def test_rights_that_are_all_there() -> None:
    assert rights_check(lambda read: True).status == "ok"
    assert rights_check(lambda read: read.of.namespace == "shop" or not KNOWN[read.of.group, read.of.kind].namespaced, only=True).status == "ok"  # fmt: skip


def test_secrets_out_of_reach_are_named_with_their_price() -> None:
    check = rights_check(lambda read: read.of.kind != "Secret")
    assert (check.status, check.says) == ("degraded", "cannot read secrets")
    assert "certificates" in check.costs
    assert "doctor --role" in check.mend


def test_a_verb_out_of_reach_is_named() -> None:
    check = rights_check(lambda read: (read.of.kind, read.option("verb")) != ("Node", "get"))
    assert check.says == "cannot read nodes (no get)"


def test_one_namespace_out_of_many_is_said() -> None:
    check = rights_check(lambda read: read.of.namespace == "shop")
    assert check.status == "degraded"
    assert "in namespace shop only" in check.says
    assert "the rest of the cluster is not seen" in check.costs


def test_what_no_role_can_grant_sends_one_to_the_cluster_role() -> None:
    check = rights_check(lambda read: read.of.namespace == "shop", only=True)
    assert "without nodes: scheduling" in check.costs
    assert check.mend.startswith("kubectl intellect doctor --role prints")


def test_without_pods_nothing_can_be_said() -> None:
    assert rights_check(lambda read: False).status == "failed"
    assert rights_check(lambda read: read.of.kind != "Pod" or bool(read.option("subresource"))).status == "failed"


# -- clock and versions --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ahead", "status", "says"), [(0.9, "ok", "agrees"), (-4, "ok", "agrees"), (40, "degraded", "40 s behind"),
                                                       (-90, "degraded", "90 s ahead of"), (7200, "failed", "7200 s behind")])  # fmt: skip
def test_the_clock(ahead: float, status: str, says: str) -> None:
    check = cluster._clock(ahead)
    assert check.status == status
    assert says in check.says


@pytest.mark.parametrize(
    ("server", "kubectl", "status", "words"),
    [
        ("v1.36.3", "v1.36.0", "ok", ""),
        ("v1.36.3", "v1.35.0", "ok", ""),
        ("v1.36.3", "", "ok", "not found"),
        ("v1.41.0-gke.1", "v1.41.2", "ok", "newer than"),
        ("v1.30.14+k3s1", "v1.36.0", "degraded", "install kubectl 1.30"),
        ("v1.19.0", "v1.19.0", "degraded", "1.23"),
        ("", "v1.36.0", "degraded", "does not say"),
    ],
)
def test_versions(server: str, kubectl: str, status: str, words: str) -> None:
    check = cluster._versions(server, kubectl)
    assert check.status == status
    assert words in " ".join((check.says, check.costs, check.mend))


# -- a cluster that misbehaves -------------------------------------------------------------------------------------


def examined(player: Player, **flags: Any) -> dict[str, Check]:
    found = cluster.checks(Flags(kubeconfig=str(player.kubeconfig), **flags), 20, cluster.Found())
    return {each.name: each for each in found}


def test_a_cluster_in_order(tmp_path: Path) -> None:
    with Player(WORLD, tmp_path, [], FAULTY[0]) as player:
        checks = examined(player)
        assert {checks[name].status for name in ("kubeconfig", "context", "rights")} == {"ok"}, checks
        assert checks["api"].says.startswith("answers in")
        assert checks["clock"].status == "failed", "a recording's clock stands still in the past"
        assert player.writes() == []


@pytest.mark.parametrize(
    ("fault", "name", "words"),
    [
        (unauthorized, "api", "does not accept our credentials"),
        (lambda: failing(500), "api", "error on the server"),
        (lambda: forbidden("secrets"), "rights", "cannot read secrets"),
        (lambda: forbidden("*"), "rights", "pods cannot be read"),
    ],
)
def test_what_is_wrong_with_a_cluster_is_said(
    tmp_path: Path, fault: Callable[[], Fault], name: str, words: str
) -> None:
    with Player(WORLD, tmp_path, [fault()], FAULTY[0]) as player:
        checks = examined(player)
    assert checks[name].status != "ok"
    assert words in checks[name].says
    assert checks[name].mend
    assert list(checks) == ["kubeconfig", "context", "api", "rights", "metrics", "clock", "versions"]


def test_a_cluster_that_hangs_is_given_up(tmp_path: Path) -> None:
    with Player(WORLD, tmp_path, [slow(60)], FAULTY[0]) as player:
        found = {
            each.name: each for each in cluster.checks(Flags(kubeconfig=str(player.kubeconfig)), 1.0, cluster.Found())
        }
    assert found["api"].status == "failed"
    assert found["versions"].says == "not known: the API server was not reached"


def test_a_namespace_that_is_not_there(tmp_path: Path) -> None:
    with Player(WORLD, tmp_path, [], FAULTY[0]) as player:
        check = examined(player, namespace="nowhere")["api"]
    assert (check.status, "no namespace nowhere" in check.says) == ("degraded", True)


def test_a_kubeconfig_that_others_can_read(tmp_path: Path) -> None:
    with Player(WORLD, tmp_path, [], FAULTY[0]) as player:
        player.kubeconfig.chmod(0o644)
        check = examined(player)["kubeconfig"]
    assert (check.status, check.mend) == ("degraded", f"chmod 600 {player.kubeconfig}")


# -- this machine --------------------------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for variable in ("DATA", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{variable}_HOME", str(tmp_path / variable.lower()))
    monkeypatch.setattr("sys.prefix", str(tmp_path))
    return tmp_path


def here() -> dict[str, Check]:
    return {each.name: each for each in machine.checks()}


def test_a_fresh_machine(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setenv("KUBECTL_INTELLECT_KNOWLEDGE__EMBEDDER", "lexical")
    checks = here()
    assert checks["model"].says == "none is installed"
    assert "model pull" in checks["model"].mend
    assert "not on PATH" in checks["plugin"].says
    assert checks["embedder"].status == "ok"
    assert (checks["index"].status, checks["index"].mend) == ("degraded", "kubectl intellect runbook index")
    assert checks["disk"].status == "ok"
    assert "memory free" in checks["memory"].says


@pytest.mark.parametrize(
    ("variable", "value", "name", "status", "words"),
    [
        ("MODEL__PROVIDER", "none", "model", "ok", "as the settings say"),
        ("MODEL__NAME", "qwen3-4b", "model", "degraded", "not installed"),
        ("MODEL__NAME", "/none/x.gguf", "model", "degraded", "no model file"),
        ("MODEL__PROVIDER", "openai", "model", "degraded", "which model"),
        ("KNOWLEDGE__EMBEDDER", "/none/e.gguf", "embedder", "degraded", "No such file"),
        ("MODEL__TIMEOUT", "soon", "settings", "failed", "model.timeout"),
    ],
)
def test_what_the_settings_ask_for(home: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, name: str, status: str, words: str) -> None:  # fmt: skip
    monkeypatch.setenv("KUBECTL_INTELLECT_KNOWLEDGE__EMBEDDER", "lexical")
    monkeypatch.setenv(f"KUBECTL_INTELLECT_{variable}", value)
    check = here()[name]
    assert check.status == status
    assert words in check.says
    assert status == "ok" or (check.costs and check.mend)


@pytest.mark.parametrize(("free", "status"), [(10 << 20, "failed"), (100 << 20, "degraded"), (9 << 30, "ok")])
def test_disk_and_memory(home: Path, monkeypatch: pytest.MonkeyPatch, free: int, status: str) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": free})())
    assert machine._disk().status == status
    monkeypatch.setattr("kubectl_ai_intellect.gateway.machine.memory", lambda: free * 2)
    assert machine._memory().status == status


def test_a_data_directory_that_cannot_be_written(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: "data" not in str(path))
    (home / "data").mkdir()
    check = machine._disk()
    assert (check.status, "cannot be written" in check.says) == ("failed", True)


# -- as a person sees it -------------------------------------------------------------------------------------------


def test_the_page_is_narrow_plain_and_escaped() -> None:
    checks = [
        ok("api", "fine"),
        Check("context", "failed", "no \x1b[2Jcontext " + "very " * 30 + "long", "a price", "a mend"),
    ]
    page = list(lines(checks, Paper(60, color=False)))
    assert all(len(line) <= 60 for line in page)
    assert not any("\x1b" in line for line in page)
    assert page[-1] == "1 ok, 1 failed"
    coloured = "\n".join(lines(checks, Paper(60, color=True)))
    assert re.sub(r"\x1b\[\d+m", "", coloured).splitlines() == page


def test_the_report_is_data() -> None:
    whole = report([ok("api", "fine"), Check("clock", "degraded", "x", "y", "z")], "prod", "shop")
    assert (whole["kind"], whole["status"], whole["context"]) == ("Doctor", "degraded", "prod")
    assert worst([]) == "ok"
    assert json.loads(json.dumps(whole))["checks"][1] == {
        "name": "clock",
        "status": "degraded",
        "says": "x",
        "costs": "y",
        "mend": "z",
    }


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["doctor"], True),
        (["doctor", "-o", "json", "--context", "prod"], True),
        (["doctor", "--role", "-n", "shop"], True),
        (["doctor", "my", "pod", "is", "ill"], False),
        (["--", "doctor"], False),
    ],
)
def test_doctor_or_a_question(words: list[str], command: bool) -> None:
    assert is_doctor(words) is command


def run(home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(home), "KUBECTL_INTELLECT_KNOWLEDGE__EMBEDDER": "lexical"}
    return subprocess.run([sys.executable, "-m", "kubectl_ai_intellect", "doctor", *words], capture_output=True, text=True,
                          check=False, env=environment, stdin=subprocess.DEVNULL)  # fmt: skip


def test_without_a_cluster_it_says_so_and_ends_with_1(tmp_path: Path) -> None:
    ran = run(tmp_path, "-o", "json")
    checks = {each["name"]: each for each in json.load(io.StringIO(ran.stdout))["checks"]}
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert ran.stderr.startswith("error: kubeconfig failed")
    assert checks["kubeconfig"]["mend"].startswith("set KUBECONFIG")
    assert checks["rights"]["says"] == "not known: there is no kubeconfig"
    assert {each["status"] for each in checks.values()} <= {"ok", "degraded", "failed"}


def test_the_role_needs_no_cluster(tmp_path: Path) -> None:
    ran = run(tmp_path, "--role", "-n", "shop")
    assert ran.returncode == 0
    assert yaml.safe_load(ran.stdout)["kind"] == "Role"
    assert ran.stderr.startswith("note: custom kinds are not known")
    wrong = run(tmp_path, "-o", "html")
    assert (wrong.returncode, "text, json or yaml" in wrong.stderr) == (2, True)
