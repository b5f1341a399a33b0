"""Compile llama.cpp's Python binding once, for every computer of this kind and not only for the one it is built on.

The instructions a CPU has are found out when the program runs: the same code is compiled several times, from what
every 64-bit machine can do upwards, and llama.cpp takes the best of them (its own mechanism, GGML_BACKEND_DL).
Of its fourteen variants for x86 we compile five, which saves two thirds of the time; `--variants all` keeps all.

    python plugin/llama/wheel.py        # prints the wheel's path; compiles it only if it is not in the cache
"""

from __future__ import annotations

import argparse
import hashlib
import os
import platform
import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "0.3.36"
SDIST_SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
RECIPE = "1"  # part of the cache's key: raise it when the way of building changes

# Named by llama.cpp after the first CPU that had the instructions; x64 is the baseline that all have.
VARIANTS = {
    "x64": "SSE2, every 64-bit x86 CPU",
    "sandybridge": "AVX, laptops of 2011",
    "haswell": "AVX2 and FMA, nearly all since 2013",
    "alderlake": "AVX-VNNI, laptops since 2021",
    "icelake": "AVX-512 with VNNI, servers",
}
OPTIONS = {
    "GGML_NATIVE": "OFF",
    "GGML_BACKEND_DL": "ON",
    "GGML_CPU_ALL_VARIANTS": "ON",
    "LLAVA_BUILD": "OFF",  # pictures: not used, and imported only on demand
    "LLAMA_BUILD_HTML": "OFF",
    # Everything beside the binding, which looks there, and not a second time in bin/ and lib/.
    "CMAKE_INSTALL_BINDIR": "llama_cpp/lib",
    "CMAKE_INSTALL_LIBDIR": "llama_cpp/lib",
    "CMAKE_INSTALL_RPATH": "@loader_path" if sys.platform == "darwin" else "$ORIGIN",
}
# The binding forces llama.cpp's own command line library to be built, which it does not use.
BEFORE = "set(LLAMA_BUILD_COMMON OFF)\n"
DISPATCHED = ("linux", "win32")


def cache_dir() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "kubectl-intellect" / "wheels"


def options() -> dict[str, str]:
    """The build's options here; on macOS Metal decides at run time by itself, and CPUs of one kind are alike."""
    if sys.platform.startswith(DISPATCHED):
        return OPTIONS
    return {name: value for name, value in OPTIONS.items() if name not in ("GGML_BACKEND_DL", "GGML_CPU_ALL_VARIANTS")}


def key(variants: frozenset[str] | None) -> str:
    """Everything that decides the wheel's bytes, as far as we choose it."""
    parts = [VERSION, SDIST_SHA256, RECIPE, BEFORE, repr(sorted(options().items())), platform.machine(), sys.platform]
    parts.append(repr(sorted(variants)) if variants is not None else "all")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def wheel(variants: frozenset[str] | None = frozenset(VARIANTS), jobs: int = 0) -> Path:
    """The wheel in the cache, compiled if it is not there; None for all variants."""
    home = cache_dir() / f"llama-{VERSION}-{key(variants)}"
    found = sorted(home.glob("llama_cpp_python-*.whl"))
    if found:
        return found[0]
    print(f"compiling llama.cpp {VERSION} (once, some minutes) …", file=sys.stderr, flush=True)
    home.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home) as scratch:
        source = unpacked(fetched(Path(scratch)), Path(scratch))
        if variants is not None and platform.machine().lower() in ("x86_64", "amd64"):
            choose(source, variants)
        built = compiled(source, Path(scratch), jobs or os.cpu_count() or 1)
        return built.replace(home / built.name)


def fetched(into: Path) -> Path:
    """The source archive, through pip, so that the user's index settings are honoured; verified."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary=llama-cpp-python"]
    subprocess.run([*command, "--dest", str(into), f"llama-cpp-python=={VERSION}"], check=True)
    archive = next(into.glob("llama_cpp_python-*.tar.gz"))
    actual = hashlib.sha256(archive.read_bytes()).hexdigest()
    if actual != SDIST_SHA256:
        raise SystemExit(f"{archive.name}: sha256 is {actual}, expected {SDIST_SHA256}; refusing to compile it")
    return archive


def unpacked(archive: Path, into: Path) -> Path:
    with tarfile.open(archive) as tar:
        tar.extractall(into, filter="data")
    return next(path for path in into.iterdir() if path.is_dir() and path.name.startswith("llama_cpp_python-"))


def choose(source: Path, variants: frozenset[str]) -> None:
    """Keep only these of the x86 variants in llama.cpp's list of them."""
    lists = source / "vendor/llama.cpp/ggml/src/CMakeLists.txt"
    text = lists.read_text(encoding="utf-8")
    start = text.index('if (GGML_SYSTEM_ARCH STREQUAL "x86")', text.index("if (GGML_CPU_ALL_VARIANTS)"))
    end = text.index('elseif(GGML_SYSTEM_ARCH STREQUAL "ARM")', start)
    listed = text[start:end]
    line = re.compile(r"^ *ggml_add_cpu_backend_variant\((\w+).*\)\n", re.MULTILINE)
    known = {found.group(1) for found in line.finditer(listed)}
    if not variants <= known:
        raise SystemExit(f"llama.cpp {VERSION} has no CPU variant {', '.join(sorted(variants - known))}")
    kept = line.sub(lambda found: found.group(0) if found.group(1) in variants else "", listed)
    lists.write_text(text[:start] + kept + text[end:], encoding="utf-8")


def compiled(source: Path, scratch: Path, jobs: int) -> Path:
    before = scratch / "before.cmake"
    before.write_text(BEFORE, encoding="utf-8")
    chosen = {**options(), "CMAKE_PROJECT_llama_cpp_INCLUDE": before.as_posix()}
    environment = {
        **os.environ,
        "CMAKE_ARGS": " ".join(f"-D{name}={value}" for name, value in chosen.items()),
        "CMAKE_BUILD_PARALLEL_LEVEL": str(jobs),
    }
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-cache-dir"]
    subprocess.run([*command, "--wheel-dir", str(scratch), str(source)], check=True, env=environment)
    return next(scratch.glob("llama_cpp_python-*.whl"))


def main() -> None:
    parser = argparse.ArgumentParser(description="Compile llama.cpp's Python binding for any computer of this kind.")
    parser.add_argument("--variants", choices=["some", "all"], default="some", help="how many kinds of CPU apart")
    parser.add_argument("--jobs", type=int, default=0, help="compilers at once (default: one per core)")
    chosen = parser.parse_args()
    print(wheel(None if chosen.variants == "all" else frozenset(VARIANTS), chosen.jobs))


if __name__ == "__main__":
    main()
