"""Build the plugin for this platform: wheel, archive, notices, SBOM and a krew manifest, all in dist/.

python -m plugin.bundle        # what `make dist` runs
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from kubectl_ai_intellect.knowledge.embedders.weights import DEFAULT_SHA256
from kubectl_ai_intellect.version import __version__
from plugin.bundle import elf, tree
from plugin.bundle.collected import Component, from_report
from plugin.bundle.notices import notices, text_of, untold
from plugin.bundle.pack import sha256, tar_gz, zipped
from plugin.bundle.sbom import sbom
from plugin.llama import wheel as llama

ROOT = tree.ROOT
OSES = {"linux": "linux", "darwin": "darwin", "win32": "windows"}
ARCHES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
SHIM = "kubectl_complete-intellect"
MEBIBYTE = 1 << 20


def platform_name() -> str:
    """This platform as Go, kubectl and krew call it."""
    return f"{OSES[sys.platform]}-{ARCHES[platform.machine().lower()]}"


def source_time() -> int:
    """When the source was made: the archive's only clock."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    git = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    told = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()
    return int(told) if told else 315532800


def freeze(staged: Path, work: Path, all_variants: bool) -> Path:
    """PyInstaller's directory with everything in it."""
    llama_wheel = llama.wheel(None if all_variants else frozenset(llama.VARIANTS))
    unpacked = work / "llama"
    shutil.rmtree(unpacked, ignore_errors=True)
    with zipfile.ZipFile(llama_wheel) as archive:
        archive.extractall(unpacked)
    # Where it is part of no package, whose directory would be searched before all others.
    start = Path(shutil.copy(ROOT / "plugin/bundle/start.py", work / "start.py"))
    given = {
        **os.environ,
        "INTELLECT_START": str(start),
        "INTELLECT_TREE": str(staged),
        "INTELLECT_LLAMA": str(unpacked),
        "INTELLECT_REPORT": str(work / "collected.json"),
        # Before the checkout, which is installed in this environment as well.
        "PYTHONPATH": os.pathsep.join([str(staged), str(unpacked)]),
        "PYTHONHASHSEED": "0",
        "SOURCE_DATE_EPOCH": str(source_time()),
    }
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level=WARN"]
    places = ["--workpath", str(work / "pyinstaller"), "--distpath", str(work / "frozen")]
    subprocess.run([*command, *places, str(ROOT / "plugin/bundle/intellect.spec")], check=True, env=given, cwd=work)
    stray = [
        source
        for name, source, _ in json.loads((work / "collected.json").read_text())
        if name.startswith((tree.PACKAGE, "llama_cpp")) and not Path(source).is_relative_to(work)
    ]
    if stray:
        raise SystemExit(f"not from the staged package: {stray[0]}")
    return work / "frozen" / "kubectl-intellect"


def stripped(frozen: Path) -> None:
    """Without the symbols that only a debugger reads; not what a wheel's own tools have rewritten already."""
    strip = shutil.which("strip")
    if sys.platform != "linux" or strip is None:
        return
    for binary in elf.read(frozen):
        rewritten = any(part in binary.name for part in ("numpy", "faiss"))
        if not rewritten and "/" in binary.name:  # the program itself carries its modules behind the ELF file
            subprocess.run([strip, "--strip-unneeded", str(frozen / binary.name)], check=True)


def components(work: Path) -> list[Component]:
    """Everything of others that is inside."""
    found = from_report(work / "collected.json", work / "llama")
    import PyInstaller

    loader = Path(PyInstaller.__file__).parent
    texts = [path for folder in loader.parent.glob("pyinstaller-*.dist-info") for path in folder.rglob("COPYING*")]
    return [
        *found,
        Component(
            "all-minilm-l6-v2-gguf",
            "q8_0",
            "Apache-2.0",
            "generic",
            (("LICENSE", (ROOT / "LICENSE").read_text()),),
            DEFAULT_SHA256,
            "https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2",
        ),
        Component("llama.cpp", f"in llama-cpp-python {llama.VERSION}", "MIT", "generic", (text_of("llama.cpp.txt"),)),
        Component(
            "pyinstaller-bootloader",
            PyInstaller.__version__,
            "GPL-2.0-or-later WITH Bootloader-exception",
            "generic",
            tuple((path.name, path.read_text()) for path in texts),
        ),
    ]


def packed(frozen: Path, dist: Path) -> Path:
    """The archive of the finished directory."""
    windows = sys.platform == "win32"
    archive = dist / f"kubectl-intellect-{__version__}-{platform_name()}{'.zip' if windows else '.tar.gz'}"
    (zipped if windows else tar_gz)(frozen, archive, source_time())
    archive.with_name(archive.name + ".sha256").write_text(f"{sha256(archive)}  {archive.name}\n")
    return archive


def tell_size(archive: Path, frozen: Path) -> None:
    files = [path for path in frozen.rglob("*") if path.is_file()]
    unpacked = sum(path.stat().st_size for path in files)
    print(f"archive   {archive.name}: {archive.stat().st_size / MEBIBYTE:.1f} MiB, sha256 {sha256(archive)}")
    print(f"unpacked  {unpacked / MEBIBYTE:.1f} MiB in {len(files)} files; the largest:")
    for path in sorted(files, key=lambda each: -each.stat().st_size)[:6]:
        print(f"          {path.stat().st_size / MEBIBYTE:7.1f} MiB  {path.relative_to(frozen)}")


def tell_needs(frozen: Path) -> str:
    """The floor that the binaries set, and whether anything is lacking; the C library's least version."""
    binaries = elf.read(frozen)
    if not binaries:
        return ""
    floor, files = elf.glibc_floor(binaries)
    print(
        f"glibc     {'.'.join(map(str, floor))} or newer (asked by {', '.join(Path(name).name for name in files[:4])})"
    )
    if lacking := elf.missing(frozen, binaries):
        raise SystemExit("not self-contained: " + "; ".join(lacking))
    import numpy._core._multiarray_umath as numpy_core

    print(
        f"CPU       {' '.join(numpy_core.__cpu_baseline__) or 'any 64-bit'} (NumPy's floor: x86-64-v2, CPUs since 2009)"
    )
    for binary in binaries:
        if "/llama_cpp/" in f"/{binary.name}" or "/" not in binary.name:
            level = elf.instruction_level(frozen / binary.name)
            print(f"          {Path(binary.name).name}: {'not read' if level is None else f'x86-64-v{level}'}")
    return ".".join(map(str, floor))


def write_manifest(dist: Path, glibc: str) -> None:
    command = [sys.executable, "-m", "plugin.krew", "--dist", str(dist)]
    subprocess.run([*command, *(["--glibc", glibc] if glibc else [])], check=True, cwd=ROOT)


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the plugin's archive for this platform.")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "bundle")
    parser.add_argument("--all-variants", action="store_true", help="llama.cpp for every kind of CPU it knows")
    options = parser.parse_args()
    began = time.monotonic()
    staged = tree.staged(options.work / "tree")
    wheel = tree.build_wheel(staged, options.dist)
    tree.complete(staged)
    frozen = freeze(staged, options.work, options.all_variants)
    stripped(frozen)
    parts = components(options.work)
    shutil.copyfile(ROOT / "LICENSE", frozen / "LICENSE")
    if sys.platform != "win32":
        shutil.copy(ROOT / "plugin" / SHIM, frozen / SHIM)
        (frozen / SHIM).chmod(0o755)
    (frozen / "THIRD_PARTY_NOTICES").write_text(notices(parts), encoding="utf-8")
    archive = packed(frozen, options.dist)
    bill = archive.with_name(archive.name.removesuffix(".tar.gz").removesuffix(".zip") + ".cdx.json")
    bill.write_text(sbom(__version__, sha256(archive), parts, source_time()), encoding="utf-8")
    tell_size(archive, frozen)
    write_manifest(options.dist, tell_needs(frozen))
    print(f"wheel     {wheel.name}: {wheel.stat().st_size / MEBIBYTE:.1f} MiB")
    print(f"SBOM      {bill.name}: {len(parts)} components")
    if lacking := untold(parts):
        print(f"notices   no licence text found for: {', '.join(lacking)}")
    print(f"took      {time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
