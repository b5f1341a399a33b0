"""The archive as a file: what krew would say, what it asks of a machine, and whose work is in it."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from PyInstaller.archive.readers import CArchiveReader

from plugin.bundle import elf
from plugin.krew import rules
from tests.bundle import krewlike
from tests.bundle.conftest import ROOT, Installed

pytestmark = pytest.mark.bundle

LARGEST = 160 << 20  # krew reads the archive into memory
EXTRAS = {"langchain_community", "sentence_transformers"}  # for those who install with pip; the program says so
X86 = pytest.mark.skipif(sys.platform != "linux", reason="reads ELF files")


def test_the_manifest_is_one_krew_takes(dist: Path, archive: Path) -> None:
    manifest = dist / "krew-manifest.yaml"
    assert rules.problems(manifest.read_text()) == []
    assert rules.archive_problems(archive.read_bytes(), krewlike.here(rules.read(manifest))) == []


def test_it_is_small_enough_to_be_read_into_memory(archive: Path) -> None:
    assert archive.stat().st_size < LARGEST


def test_a_real_krew_installs_it(
    krew: Callable[..., subprocess.CompletedProcess[str]], dist: Path, archive: Path, tmp_path: Path
) -> None:
    words = ("install", f"--manifest={dist / 'krew-manifest.yaml'}", f"--archive={archive}")
    ran = krew(*words, KREW_ROOT=str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    told = subprocess.run(
        [tmp_path / "bin" / "kubectl-intellect", "--version"], capture_output=True, text=True, check=True
    )
    assert told.stdout.startswith("kubectl intellect ")


def test_all_that_we_import_is_inside(installed: Installed) -> None:
    """Lazy imports too: every module named anywhere in the package, but for the extras and other systems' modules."""
    inside = modules_inside(installed)
    assert {name for name in imported() if name.partition(".")[0] not in EXTRAS} - inside <= {"msvcrt"}
    ours = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in (ROOT / "kubectl_ai_intellect").rglob("*.py")
    }
    assert ours <= inside


def modules_inside(installed: Installed) -> set[str]:
    """Modules of the archive: frozen, in the interpreter's own zip file, extensions, built in."""
    program = CArchiveReader(str(installed.link.resolve()))
    frozen = set(program.open_embedded_archive("PYZ.pyz").toc)
    with zipfile.ZipFile(installed.store / "_internal" / "base_library.zip") as library:
        basic = {name.rpartition(".")[0].replace("/", ".").removesuffix(".__init__") for name in library.namelist()}
    extensions = {
        path.name.partition(".")[0] for path in (installed.store / "_internal").glob("python3*/lib-dynload/*")
    }
    return frozen | basic | extensions | set(program.toc) | set(sys.builtin_module_names)


def imported() -> set[str]:
    """Modules that our code imports, at the top of a file or inside a function."""
    found: set[str] = set()
    for path in (ROOT / "kubectl_ai_intellect").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                found |= {each.name for each in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module)
    return found - {"__future__"}


@X86
def test_it_lacks_no_library(installed: Installed) -> None:
    binaries = elf.read(installed.store)
    assert len(binaries) > 20
    assert elf.missing(installed.store, binaries) == []


@X86
def test_it_runs_on_the_c_library_it_was_built_on(installed: Installed) -> None:
    """The floor is read from the files; it cannot be above what this machine, where all of them run, has."""
    floor, files = elf.glibc_floor(elf.read(installed.store))
    told = subprocess.run(["getconf", "GNU_LIBC_VERSION"], capture_output=True, text=True, check=True).stdout
    assert (2, 17) <= floor <= tuple(map(int, told.split()[1].split("."))), files


@X86
def test_llama_runs_on_any_64_bit_cpu_and_knows_newer_ones(installed: Installed) -> None:
    """Newer instructions stand only in the files that are chosen among at run time."""
    folder = installed.store / "_internal" / "llama_cpp" / "lib"
    levels = {path.name: elf.instruction_level(path) for path in folder.iterdir()}
    assert levels.pop("libggml-cpu-haswell.so") == 3
    assert levels.pop("libggml-cpu-icelake.so") == 4
    always = {name: level for name, level in levels.items() if "ggml-cpu-" not in name or name.endswith("-x64.so")}
    assert {"libllama.so", "libggml-cpu-x64.so", "libggml-base.so.0"} <= set(always)
    assert set(always.values()) == {1}, always


def test_everybody_whose_work_is_inside_is_named(installed: Installed) -> None:
    assert "Apache License" in (installed.store / "LICENSE").read_text()
    text = (installed.store / "THIRD_PARTY_NOTICES").read_text()
    program = CArchiveReader(str(installed.link.resolve()))
    tops = {name.partition(".")[0] for name in program.open_embedded_archive("PYZ.pyz").toc}
    known = packages_distributions()
    alone = {known[name][0] for name in tops if len(set(known.get(name, ()))) == 1}  # a namespace may have several
    owners = {name.lower().replace("_", "-") for name in alone} - {"kubectl-ai-intellect"}
    assert len(owners) > 30
    head = text.partition("=" * 78)[0].lower()
    assert [name for name in sorted(owners) if f"  {name} " not in head.replace("_", "-").replace(".", "-")] == []
    for name in ("llama.cpp", "all-minilm-l6-v2", "cpython", "pyinstaller"):
        assert f"  {name}" in head


def test_the_bill_of_materials_is_valid_and_is_about_this_archive(archive: Path) -> None:
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = archive.with_name(archive.name.removesuffix(".tar.gz").removesuffix(".zip") + ".cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    assert (
        bill["metadata"]["component"]["hashes"][0]["content"]
        == krewlike.hashlib.sha256(archive.read_bytes()).hexdigest()
    )
    names = {each["name"] for each in bill["components"]}
    assert {"kubernetes", "langgraph", "faiss-cpu", "numpy", "llama.cpp", "cpython"} <= names
    assert all(each.get("version") and each.get("licenses") for each in bill["components"])


def test_nobody_else_may_write_what_is_installed(installed: Installed) -> None:
    open_to_others = [path for path in installed.store.rglob("*") if path.stat().st_mode & 0o022]
    assert open_to_others == []
