"""Model files: the catalogue, pulling from a server on loopback, importing, what fits."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kubectl_ai_intellect import settings as config
from kubectl_ai_intellect.cli import model as model_cli
from kubectl_ai_intellect.gateway import machine
from kubectl_ai_intellect.gateway.llama.gguf import Header
from kubectl_ai_intellect.gateway.models import catalogue, installed, running
from kubectl_ai_intellect.gateway.models import pull as pulling
from kubectl_ai_intellect.gateway.models.catalogue import GIB, Entry
from kubectl_ai_intellect.gateway.protocol import ModelError
from tests.models import random_weights

RUN = CliRunner()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("CONFIG", "DATA", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))
    return tmp_path


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return random_weights.write(tmp_path_factory.mktemp("models") / "tiny.gguf")


@dataclass
class Hub:
    """A file server that can be told to misbehave."""

    content: bytes
    url: str = ""
    tag: str = '"v1"'
    digest: str = ""
    cut_after: list[int] = field(default_factory=list)  # bytes after which each coming answer is cut
    statuses: list[int] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    redirect: bool = False
    knows_ranges: bool = True
    unsized: bool = False  # ends the answer by ending the connection


class Files(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        hub = self.hub
        if hub.redirect and self.path.startswith("/o/"):
            headers = {"location": "/cdn", "content-length": "0"}
            self._head(302, {**headers, **({"x-linked-etag": f'"{hub.digest}"'} if hub.digest else {})})
            return
        hub.ranges.append(self.headers.get("range", ""))
        if hub.statuses:
            self._head(hub.statuses.pop(0), {"content-length": "0"})
            return
        start = self._start()
        if start is not None and start >= len(hub.content):
            self._head(416, {"content-range": f"bytes */{len(hub.content)}", "content-length": "0"})
            return
        body = hub.content[start or 0 :]
        headers = {"etag": hub.tag, **({} if hub.unsized else {"content-length": str(len(body))})}
        self.close_connection = hub.unsized
        if start is not None:
            headers["content-range"] = f"bytes {start}-{len(hub.content) - 1}/{len(hub.content)}"
        if hub.digest and not hub.redirect:
            headers["x-linked-etag"] = f'"{hub.digest}"'
        self._head(206 if start is not None else 200, headers)
        cut = hub.cut_after.pop(0) if hub.cut_after else None
        self.wfile.write(body[:cut])
        if cut is not None:
            self.wfile.flush()
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True

    def _start(self) -> int | None:
        wanted = self.headers.get("range", "")
        same = self.headers.get("if-range", self.hub.tag) == self.hub.tag
        return int(wanted[6:-1]) if wanted and same and self.hub.knows_ranges else None

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def hub(tiny: Path) -> Iterator[Hub]:
    hub = Hub(tiny.read_bytes())
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Files,), {"hub": hub}))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield hub
    server.shutdown()
    thread.join()
    server.server_close()


def entry(sha256: str = "") -> Entry:
    return Entry(
        name="tiny", title="Tiny", repo="o/r", file="tiny.gguf", size=1000, ram=0.5, context=4096,
        template="chatml", licence="MIT", sha256=sha256,
    )  # fmt: skip


def sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def fetch(hub: Hub, home: Path, **more: Any) -> str:
    target = home / "models" / "tiny.gguf"
    target.parent.mkdir(exist_ok=True)
    return pulling.fetch(pulling.Fetch(f"{hub.url}/o/r", target, pause=lambda _: None, **more))


def test_the_catalogue_is_whole_and_invents_no_digest() -> None:
    entries = catalogue.entries()
    assert [entry.name for entry in entries if entry.default] == ["qwen3-4b"]
    assert len({entry.name for entry in entries}) == len(entries)
    assert all(entry.url().startswith("https://huggingface.co/") for entry in entries)
    assert catalogue.find("qwen3-4b").url("https://mirror.example/hf/").startswith("https://mirror.example/hf/unsloth/")
    with pytest.raises(ModelError, match="did you mean qwen3-4b"):
        catalogue.find("qwen-4b")


@pytest.mark.parametrize(
    ("gib", "name"), [(1, None), (2, "qwen3-0.6b"), (3, "qwen3-1.7b"), (5, "qwen3-4b"), (64, "qwen3-4b")]
)
def test_the_suited_model_goes_by_memory(gib: float, name: str | None) -> None:
    found = catalogue.suited(int(gib * GIB))
    assert (found.name if found else None) == name


def test_pulling_registers_a_checked_file(hub: Hub) -> None:
    seen: list[tuple[int, int]] = []
    model = pulling.pull(entry(), hub.url, lambda done, total: seen.append((done, total)))
    assert model.path.read_bytes() == hub.content
    assert model.sha256 == sha(hub.content)
    assert seen[-1] == (len(hub.content), len(hub.content))
    assert installed.find("tiny") == model
    assert sorted(path.name for path in installed.directory().iterdir()) == ["models.json", "tiny.gguf"]
    pulling.pull(entry(), hub.url)
    assert len(hub.ranges) == 1, "what is there is not fetched again"


def test_a_cut_connection_is_resumed(hub: Hub, home: Path) -> None:
    hub.cut_after = [100_000, 50_000, 1]
    assert fetch(hub, home) == sha(hub.content)
    assert hub.ranges == ["", "bytes=100000-", "bytes=150000-", "bytes=150001-"]


def test_a_pull_in_another_process_goes_on(hub: Hub, home: Path) -> None:
    hub.cut_after = [100_000] + [0] * 10
    with pytest.raises(ModelError, match="100000 bytes are kept"):
        fetch(hub, home)
    hub.cut_after = []
    assert fetch(hub, home, sha256=sha(hub.content)) == sha(hub.content)
    assert hub.ranges[-1] == "bytes=100000-"


def test_a_file_that_changed_meanwhile_is_fetched_anew(hub: Hub, home: Path) -> None:
    hub.cut_after = [100_000] + [0] * 10
    with pytest.raises(ModelError):
        fetch(hub, home)
    hub.cut_after, hub.tag = [], '"v2"'
    assert fetch(hub, home) == sha(hub.content)
    assert (home / "models" / "tiny.gguf").read_bytes() == hub.content


def test_a_server_without_ranges_still_serves(hub: Hub, home: Path) -> None:
    hub.knows_ranges, hub.cut_after = False, [100_000]
    assert fetch(hub, home) == sha(hub.content)


def test_a_weak_tag_promises_nothing(hub: Hub, home: Path) -> None:
    hub.tag, hub.cut_after = 'W/"v1"', [100_000]
    assert fetch(hub, home) == sha(hub.content)
    assert hub.ranges == ["", ""]


def test_a_whole_part_is_only_checked(hub: Hub, home: Path) -> None:
    directory = home / "models"
    directory.mkdir()
    (directory / "tiny.gguf.part").write_bytes(hub.content)
    (directory / "tiny.gguf.part.json").write_text(json.dumps({"url": f"{hub.url}/o/r", "tag": hub.tag}))
    assert fetch(hub, home) == sha(hub.content)


@pytest.mark.parametrize("redirect", [False, True])
def test_a_wrong_digest_leaves_nothing(hub: Hub, home: Path, redirect: bool) -> None:
    hub.digest, hub.redirect = "0" * 64, redirect
    with pytest.raises(ModelError, match="expected 0000"):
        fetch(hub, home)
    assert list((home / "models").iterdir()) == []
    hub.digest = sha(hub.content)
    assert fetch(hub, home) == hub.digest


def test_the_catalogues_digest_decides_where_the_server_names_none(hub: Hub, home: Path) -> None:
    with pytest.raises(ModelError, match="expected 1111"):
        fetch(hub, home, sha256="1" * 64)
    assert fetch(hub, home, sha256=sha(hub.content)) == sha(hub.content)


def test_a_page_instead_of_a_model_is_refused(hub: Hub, home: Path) -> None:
    hub.content = b"<html>please log in</html>" * 10
    with pytest.raises(ModelError, match="not a GGUF"):
        fetch(hub, home)
    assert list((home / "models").iterdir()) == []


@pytest.mark.parametrize(("status", "words"), [(404, "--mirror"), (401, "login"), (403, "import"), (418, "418")])
def test_a_refusal_says_what_to_do(hub: Hub, home: Path, status: int, words: str) -> None:
    hub.statuses = [status]
    with pytest.raises(ModelError, match=words):
        fetch(hub, home)


def test_a_busy_server_is_asked_again(hub: Hub, home: Path) -> None:
    hub.statuses = [503, 429, 500]
    assert fetch(hub, home) == sha(hub.content)


def test_nobody_there(home: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ModelError, match="cannot fetch"):
        fetch(Hub(b"", f"http://127.0.0.1:{port}"), home)


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from kubectl_ai_intellect.gateway.models import pull
from kubectl_ai_intellect.gateway.protocol import ModelError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]),) * 2)
try:
    pull.fetch(pull.Fetch(sys.argv[1], Path(sys.argv[2])))
except ModelError as error:
    print(error)
"""


def test_a_full_disk_keeps_the_part_and_goes_on_later(hub: Hub, home: Path) -> None:
    target = home / "models" / "tiny.gguf"
    target.parent.mkdir()
    argv = [sys.executable, "-c", FULL_DISK, f"{hub.url}/o/r", str(target), "100000"]
    said = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    assert "no room for tiny.gguf" in said
    assert "100000 bytes are kept" in said
    assert not target.exists()
    assert fetch(hub, home) == sha(hub.content)
    assert hub.ranges[-1] == "bytes=100000-"


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="mounts a small file system")
@pytest.mark.parametrize(("unsized", "words"), [(False, "tiny.gguf needs"), (True, "no room for tiny.gguf")])
def test_a_disk_that_is_really_full(hub: Hub, home: Path, unsized: bool, words: str) -> None:
    hub.unsized = unsized
    target = home / "models" / "tiny.gguf"
    target.parent.mkdir()
    # In a mount namespace of its own: nothing outlives the process.
    script = f'mount -t tmpfs -o size=128k none {target.parent} && exec "$0" -c "$1" "$2" "$3" "$4"'
    argv = ["unshare", "-m", "sh", "-c", script, sys.executable, FULL_DISK, f"{hub.url}/o/r", str(target), "-1"]
    done = subprocess.run(argv, check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no mount namespace here: {done.stderr.strip()}")
    assert words in done.stdout


def test_two_pulls_do_not_meet(hub: Hub, home: Path) -> None:
    (home / "models").mkdir()
    part = home / "models" / "tiny.gguf.part"
    with pulling._alone(part), pytest.raises(ModelError, match="another process"):
        fetch(hub, home)
    assert fetch(hub, home) == sha(hub.content)


def test_importing_links_checks_and_shows(tiny: Path) -> None:
    done = RUN.invoke(model_cli.app, ["import", str(tiny), "--name", "mine"])
    assert done.exit_code == 0, done.output
    for words in ("mine is installed", "qwen3", "F16", "8192 tokens", "chatml"):
        assert words in done.output
    model = installed.find("mine")
    assert model.path.samefile(tiny), "hard-linked, not copied"
    assert "is whole" in RUN.invoke(model_cli.app, ["verify", "mine"]).output
    assert "mine" in RUN.invoke(model_cli.app, ["list"]).output
    rows = json.loads(RUN.invoke(model_cli.app, ["list", "-o", "json"]).output)
    assert [row["name"] for row in rows if row["installed"]] == ["mine"]
    assert RUN.invoke(model_cli.app, ["use", "mine"]).output == "using llamacpp:mine\n"
    assert (config.load().model.provider, config.load().model.name) == ("llamacpp", "mine")
    assert "removed mine" in RUN.invoke(model_cli.app, ["remove", "mine"]).output
    assert tiny.exists()
    assert installed.installed() == {}


def test_an_import_with_the_wrong_digest_is_refused(tiny: Path) -> None:
    with pytest.raises(ModelError, match="sha256"):
        installed.bring(tiny, sha256="0" * 64)
    assert installed.installed() == {}


def test_damage_is_found(tiny: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.gguf"
    data = bytearray(tiny.read_bytes())
    copy.write_bytes(data)
    model = installed.bring(copy)
    data[-5] ^= 1
    model.path.write_bytes(data)
    with pytest.raises(ModelError, match="damaged"):
        installed.verify(model)
    model.path.write_bytes(data[:-100])
    with pytest.raises(ModelError, match="truncated"):
        installed.verify(installed.find("copy"))


def test_an_embedding_model_cannot_answer(tmp_path: Path) -> None:
    import gguf

    writer = gguf.GGUFWriter(str(tmp_path / "e.gguf"), "bert")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(ModelError, match=r"embedding model .*knowledge\.embedder"):
        installed.bring(tmp_path / "e.gguf")


def test_using_a_cloud_provider_says_what_that_means() -> None:
    done = RUN.invoke(model_cli.app, ["use", "anthropic:claude-x"])
    assert "Evidence from your cluster" in done.output
    assert config.load().model.provider == "anthropic"
    assert RUN.invoke(model_cli.app, ["use", "none"]).output == "using none\n"
    with pytest.raises(ModelError):
        RUN.invoke(model_cli.app, ["use", "nonesuch"], catch_exceptions=False)


def header(size: float, kv: int = 147_456, context: int = 32_768) -> Header:
    return Header("qwen3", "n", "Q4_K_M", context, 36, 2560, kv // 144, 1, "", "", 1, int(size * GIB))


def test_context_shrinks_to_what_fits_and_then_a_smaller_model_is_named() -> None:
    model = header(2.33)
    assert running.fitting_context(model, 8192, 16 * GIB, "qwen3-4b") == 8192
    assert running.fitting_context(header(2.33, context=4096), 8192, 16 * GIB, "x") == 4096
    squeezed = running.fitting_context(model, 8192, int(3.3 * GIB), "qwen3-4b")
    assert 3072 <= squeezed < 8192
    assert running.needed_memory(model, squeezed) <= 3.3 * GIB
    with pytest.raises(ModelError, match=r"needs 3\.1 GiB of memory, 2\.6 GiB are free; qwen3-1\.7b would fit"):
        running.fitting_context(model, 8192, int(2.6 * GIB), "qwen3-4b")
    with pytest.raises(ModelError, match=r"0\.5 GiB are free$"):
        running.fitting_context(model, 8192, int(0.5 * GIB), "qwen3-4b")


def test_limits_of_the_control_group_count(tmp_path: Path) -> None:
    own = tmp_path / "cgroup"
    own.write_text("0::/pod/app\n")
    group = tmp_path / "sys" / "pod" / "app"
    group.mkdir(parents=True)
    (group / "cpu.max").write_text("max 100000\n")
    assert machine.cpu_quota(tmp_path / "sys", own) is None
    (group.parent / "cpu.max").write_text("150000 100000\n")
    assert machine.cpu_quota(tmp_path / "sys", own) == 1.5
    (group / "memory.max").write_text("1000000\n")
    (group / "memory.current").write_text("400000\n")
    assert machine.memory(tmp_path / "sys", own) == 600_000
    own.write_text("4:memory:/old\n3:cpu,cpuacct:/old\n")
    old = tmp_path / "sys" / "cpu" / "old"
    old.mkdir(parents=True)
    (old / "cpu.cfs_quota_us").write_text("-1\n")
    (old / "cpu.cfs_period_us").write_text("100000\n")
    assert machine.cpu_quota(tmp_path / "sys", own) is None
    (old / "cpu.cfs_quota_us").write_text("200000\n")
    assert machine.cpu_quota(tmp_path / "sys", own) == 2
    assert 1 <= machine.cores() <= (os.cpu_count() or 1)


def test_hyperthreads_are_not_cores(tmp_path: Path) -> None:
    cpuinfo = tmp_path / "cpuinfo"
    blocks = [f"processor : {n}\nphysical id : 0\ncore id : {n % 4}\n" for n in range(8)]
    cpuinfo.write_text("\n".join(blocks))
    assert machine._physical(cpuinfo, set(range(8))) == 4
    assert machine._physical(cpuinfo, {0, 4}) == 1
    assert machine._physical(tmp_path / "none", {0}) == 0


@pytest.mark.model
@pytest.mark.skipif(importlib.util.find_spec("llama_cpp") is None, reason="llama-cpp-python is not installed")
def test_bench_measures(tiny: Path) -> None:
    installed.bring(tiny, "mine")
    done = RUN.invoke(model_cli.app, ["bench", "mine"], catch_exceptions=False)
    assert done.exit_code == 0
    for words in ("prefill", "decode", "one diagnosis"):
        assert words in done.output
