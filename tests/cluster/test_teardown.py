"""Nothing of a cluster is left when its user ends, however the user ends; and two do not disturb each other."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cluster import cgroups
from tests.cluster.cache import Lacking
from tests.cluster.fixtures import EXTERNAL, lacking
from tests.cluster.handle import Cluster, Kind, StartFailed, launch, prepare
from tests.cluster.warden import CGROUP_PREFIX, REPOSITORY, sweep

# Starts a cluster as a test run would, tells where, and does no more.
USER = """
import sys, time
from pathlib import Path
from tests.cluster.handle import launch
cluster = launch(sys.argv[1], Path(sys.argv[2]))
print("up", flush=True)
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def own_clusters_only() -> None:
    if os.environ.get(EXTERNAL):
        pytest.skip("tests how clusters of our own end; unset INTELLECT_TEST_KUBECONFIG")


@pytest.fixture
def directory() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="intellect-teardown-") as name:
        yield Path(name) / "cluster"


def ready(kind: Kind) -> None:
    try:
        prepare(kind)
    except Lacking as reason:
        lacking(str(reason))


def user(kind: Kind, directory: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", USER, kind, str(directory)],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def processes_of(directory: Path) -> list[str]:
    """Command lines that name the cluster's directory (all its programs are told where it is)."""
    found: list[str] = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = each.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(directory) in words and "-c" not in words.split()[1:2]:
            found.append(words)
    return found


def gone(directory: Path, seconds: float = 30) -> None:
    until(lambda: not processes_of(directory) and not directory.exists(), seconds)


def until(seen: Callable[[], bool], seconds: float) -> None:
    end = time.monotonic() + seconds
    while not seen():
        assert time.monotonic() < end, f"not seen within {seconds} s"
        time.sleep(0.1)


@pytest.mark.controlplane
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_it_ends_with_its_user(directory: Path, ending: signal.Signals) -> None:
    ready("controlplane")
    with user("controlplane", directory) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        assert len(processes_of(directory)) >= 6
        process.send_signal(ending)
    gone(directory)


@pytest.mark.controlplane
def test_it_ends_with_a_user_who_dies_while_it_starts(directory: Path) -> None:
    ready("controlplane")
    with user("controlplane", directory) as process:
        until(lambda: any("kube-apiserver" in each for each in processes_of(directory)), 30)
        process.kill()
    gone(directory)


@pytest.mark.controlplane
def test_a_killed_owner_leaves_no_process_and_the_next_start_clears_its_files(directory: Path) -> None:
    ready("controlplane")
    cluster = launch("controlplane", directory, stays=True)
    os.kill(cluster.warden, signal.SIGKILL)
    until(lambda: not processes_of(directory), 15)
    assert directory.exists()
    sweep()
    assert not directory.exists()


@pytest.mark.controlplane
def test_two_at_once_know_nothing_of_each_other() -> None:
    ready("controlplane")
    with ThreadPoolExecutor(2) as pool:
        starting: list[Future[Cluster]] = [pool.submit(launch, "controlplane") for _ in range(2)]
    first, second = (each.result() for each in starting)
    try:
        first.kubectl("create", "namespace", "only-in-the-first")
        seen = second.kubectl("get", "namespace", "only-in-the-first", check=False)
        assert "not found" in seen.stderr
        first.down()
        assert len(second.json("get", "nodes")["items"]) == 3
    finally:
        first.down()
        second.down()


@pytest.mark.controlplane
def test_a_directory_in_use_is_refused(directory: Path) -> None:
    ready("controlplane")
    cluster = launch("controlplane", directory)
    try:
        with pytest.raises(StartFailed, match="in use by another cluster"):
            launch("controlplane", directory)
        assert cluster.kubectl("get", "nodes").returncode == 0
    finally:
        cluster.down()
    assert not directory.exists()


@pytest.mark.controlplane
def test_what_a_user_put_into_the_directory_stays(directory: Path) -> None:
    ready("controlplane")
    directory.mkdir()
    (directory / "notes.txt").write_text("mine")
    launch("controlplane", directory).down()
    assert [each.name for each in directory.iterdir()] == ["notes.txt"]


def machine() -> dict[str, object]:
    """What a node could leave on its machine."""
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    paths = ["/var/lib/kubelet", "/opt/cni", "/opt/containerd", "/run/containerd", "/etc/cni", "/var/log/pods"]
    settings = ["vm/overcommit_memory", "kernel/panic", "kernel/panic_on_oops", "kernel/keys/root_maxkeys"]
    return {
        "mounts": [line for line in mounts if "intellect" in line or "kubelet" in line],
        "devices": sorted(each.name for each in Path("/sys/class/net").iterdir()),
        "paths": [path for path in paths if Path(path).exists()],
        "settings": [(Path("/proc/sys") / each).read_text() for each in settings],
        "routes": Path("/proc/net/route").read_text(),
    }


@pytest.mark.realnode
@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_a_node_leaves_nothing_on_its_machine(directory: Path, ending: signal.Signals) -> None:
    ready("node")
    before = machine()
    with user("node", directory) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
        owner = json.loads((directory / "warden.json").read_text())
        own = [each for each in cgroups.left_over(CGROUP_PREFIX) if each.name == owner["cgroup"]]
        assert own
        assert machine() == before
        containers = _pids(own)
        assert containers
        process.send_signal(ending)
    gone(directory, 60)
    assert machine() == before
    assert not {each for each in cgroups.left_over(CGROUP_PREFIX) if each.name == owner["cgroup"]}
    assert not [pid for pid in containers if Path(f"/proc/{pid}").exists()]


@pytest.mark.realnode
def test_a_killed_owner_of_a_node_leaves_no_process(directory: Path) -> None:
    ready("node")
    cluster: Cluster = launch("node", directory, stays=True)
    owner = json.loads((directory / "warden.json").read_text())
    os.kill(cluster.warden, signal.SIGKILL)
    until(lambda: not processes_of(directory), 20)
    sweep()
    assert not directory.exists()
    assert owner["cgroup"] not in {each.name for each in cgroups.left_over(CGROUP_PREFIX)}


def _pids(groups: list[Path]) -> set[str]:
    files = [file for group in groups for file in group.rglob("cgroup.procs")]
    return {pid for file in files for pid in file.read_text().split()}
