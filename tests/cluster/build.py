"""Builds the cluster's programs from pinned Go modules, once, into the cache.

Each directory under `go/` is a module of its own (their dependencies conflict): go.mod names the programs as
`tool` lines, go.sum pins every byte. A group's cache entry is named by the hash of both, the Go version and
the build flags, so a warm start reads no registry and compiles nothing.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.cache import Lacking, cache_root, clock, digest, entry, say
from tests.cluster.toolchain import Go, find_go

MODULES = Path(__file__).with_name("go")
CONTROL_PLANE_GROUPS = ("kubernetes", "etcd", "kwok")
NODE_GROUPS = (*CONTROL_PLANE_GROUPS, "containerd", "coredns", "metrics-server", "registry", "forward")
ALL_GROUPS = (*NODE_GROUPS, "helm")

FLAGS = ("-trimpath", "-buildvcs=false", "-mod=readonly")
# Where a module keeps the version it reports: (variable, module whose version it shows, prefix to drop).
STAMPS: dict[str, tuple[tuple[str, str, str], ...]] = {
    "kubernetes": (
        ("k8s.io/component-base/version.gitVersion", "k8s.io/kubernetes", ""),
        ("k8s.io/client-go/pkg/version.gitVersion", "k8s.io/kubernetes", ""),
    ),
    "containerd": (("github.com/containerd/containerd/v2/version.Version", "github.com/containerd/containerd/v2", ""),),
    "kwok": (("sigs.k8s.io/kwok/pkg/consts.Version", "sigs.k8s.io/kwok", ""),),
    "helm": (("helm.sh/helm/v4/internal/version.version", "helm.sh/helm/v4", ""),),
    "metrics-server": (
        ("k8s.io/client-go/pkg/version.gitVersion", "sigs.k8s.io/metrics-server", ""),
        ("k8s.io/component-base/version.gitVersion", "sigs.k8s.io/metrics-server", ""),
    ),
}
# Files of a module that are needed beside its programs, copied to share/: (module, glob patterns).
SHARED: dict[str, tuple[str, tuple[str, ...]]] = {
    "kwok": (
        "sigs.k8s.io/kwok",
        (
            "kustomize/crd/bases/kwok.x-k8s.io_stages.yaml",
            "kustomize/stage/node/fast/node-initialize.yaml",
            "kustomize/stage/node/heartbeat-with-lease/node-heartbeat-with-lease.yaml",
            "kustomize/stage/pod/fast/pod-*.yaml",
        ),
    ),
}
# Programs whose package path does not end in their name.
RENAMED: dict[str, str] = {"go.etcd.io/etcd/server/v3": "etcd"}


@dataclass(frozen=True, slots=True)
class Binaries:
    """The built programs, by name."""

    groups: tuple[Path, ...]

    def __getitem__(self, name: str) -> Path:
        for group in self.groups:
            path = group / "bin" / name
            if path.exists():
                return path
        raise KeyError(name)

    def shared(self) -> list[Path]:
        """Files that came with the programs' modules."""
        return sorted(file for group in self.groups for file in group.glob("share/*"))

    def path(self) -> str:
        """A PATH prefix that finds all of them."""
        return os.pathsep.join(str(group / "bin") for group in self.groups)


def programs(group: str) -> dict[str, str]:
    """Binary name to package, read from the group's tool lines."""
    text = (MODULES / group / "go.mod").read_text()
    listed: list[str] = re.findall(r"^tool ([^(\s]\S*)$", text, re.M)
    for block in re.findall(r"^tool \((.*?)^\)", text, re.M | re.S):
        listed += block.split()
    return {RENAMED.get(package) or package.rsplit("/", 1)[-1]: package for package in listed}


def pinned_version(group: str, module: str) -> str:
    """The version of a module in a group's go.mod."""
    text = (MODULES / group / "go.mod").read_text()
    found = re.search(rf"^(?:require )?\s*{re.escape(module)} (v\S+)", text, re.M)
    if found is None:
        raise LookupError(f"{group}/go.mod does not require {module}")
    return found.group(1)


def link_flags(group: str) -> str:
    """Strip symbols; stamp the version each program reports about itself."""
    flags = ["-s", "-w"]
    for variable, module, drop in STAMPS.get(group, ()):
        flags.append(f"-X {variable}={pinned_version(group, module).removeprefix(drop)}")
    if group == "kubernetes":
        major, minor = pinned_version(group, "k8s.io/kubernetes")[1:].split(".")[:2]
        for package in ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version"):
            flags += [f"-X {package}.gitMajor={major}", f"-X {package}.gitMinor={minor}"]
    return " ".join(flags)


def entry_name(group: str, go: Go) -> str:
    """The cache name of a group: everything that decides its bytes is in the hash."""
    files = [file.read_bytes() for file in sorted((MODULES / group).iterdir())]
    flags = [*FLAGS, link_flags(group), repr(SHARED.get(group))]
    return f"{group}-{digest([*files, go.version, platform.machine(), *flags])}"


def ensure_binaries(groups: Iterable[str] = ALL_GROUPS) -> Binaries:
    """All programs of these groups, built if this machine has not built them yet."""
    wanted = tuple(groups)
    go = find_go()
    return Binaries(tuple(entry(entry_name(g, go), lambda work, g=g: _build(g, go, work)) for g in wanted))


def missing_groups(groups: Iterable[str] = ALL_GROUPS) -> list[str]:
    """The groups a start would have to build first."""
    go = find_go()
    return [group for group in groups if not (cache_root() / entry_name(group, go)).is_dir()]


def _build(group: str, go: Go, work: Path) -> None:
    wanted = programs(group)
    took = clock()
    say(f"{group}: building {', '.join(sorted(wanted))} with Go {go.version} (once; kept in {cache_root()})")
    target = work / "bin"
    target.mkdir()
    for name, package in wanted.items():
        if name == package.rsplit("/", 1)[-1]:
            continue
        _compile(group, go, ["-o", str(target / name), package])
    plain = [package for name, package in wanted.items() if name == package.rsplit("/", 1)[-1]]
    if plain:
        _compile(group, go, ["-o", f"{target}/", *plain])
    _copy_shared(group, go, work / "share")
    lacking = [name for name in wanted if not (target / name).exists()]
    if lacking:
        raise RuntimeError(f"{group}: the build left no {', '.join(lacking)}")
    say(f"{group}: built in {took()}")


def _copy_shared(group: str, go: Go, target: Path) -> None:
    if group not in SHARED:
        return
    module, patterns = SHARED[group]
    command = [str(go.path), "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", module]
    source = Path(subprocess.check_output(command, cwd=MODULES / group, env=_environment(go), text=True).strip())
    target.mkdir()
    for pattern in patterns:
        for file in source.glob(pattern):
            (target / file.name).write_bytes(file.read_bytes())


def _environment(go: Go) -> dict[str, str]:
    return {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOFLAGS": "",
        "GOWORK": "off",
        "GOTOOLCHAIN": "local",
        "GOROOT": str(go.root),
    }


def _compile(group: str, go: Go, target: Sequence[str]) -> None:
    command = [str(go.path), "build", "-v", *FLAGS, "-ldflags", link_flags(group), *target]
    with subprocess.Popen(
        command,
        cwd=MODULES / group,
        env=_environment(go),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        tail = _follow(group, process)
    if process.returncode != 0:
        raise Lacking(f"building {group} failed; is the Go module proxy reachable?\n" + "\n".join(tail))


def _follow(group: str, process: subprocess.Popen[str]) -> list[str]:
    """Count what the compiler reports, show a line now and then, keep the last lines for an error."""
    assert process.stderr is not None
    tail: list[str] = []
    counts = {"compiled": 0, "downloaded": 0}
    took = clock()
    done = threading.Event()

    def report() -> None:
        while not done.wait(15):
            fetched, compiled = counts["downloaded"], counts["compiled"]
            say(f"{group}: {took()}, {fetched} modules fetched, {compiled} packages compiled")

    ticker = threading.Thread(target=report, daemon=True)
    ticker.start()
    for line in process.stderr:
        counts["downloaded" if line.startswith("go: downloading") else "compiled"] += 1
        tail = [*tail[-30:], line.rstrip()]
    done.set()
    ticker.join()
    return tail


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the named groups (all by default) and print where each program is."""
    groups = list(sys.argv[1:] if arguments is None else arguments) or list(ALL_GROUPS)
    unknown = [group for group in groups if group not in ALL_GROUPS]
    if unknown:
        print(f"unknown group {', '.join(unknown)}; there are: {', '.join(ALL_GROUPS)}", file=sys.stderr)
        return 2
    start = time.monotonic()
    binaries = ensure_binaries(groups)
    for group in groups:
        for name in programs(group):
            print(f"{name}\t{binaries[name]}")
    say(f"all there after {time.monotonic() - start:.1f} s")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
