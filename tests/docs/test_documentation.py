"""The documentation against the program: nothing generated has drifted, every link leads somewhere, every command works."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.build import ensure_binaries
from tests.cluster.cache import Lacking
from tests.cluster.fixtures import lacking
from tests.player import Player
from tests.player.recorded import world_of
from tests.scenarios.recorded import FOLDER

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
GENERATED = ("commands.md", "configuration.md", "schema.json")
TRIED_ELSEWHERE = {
    "docs/krew.md": "the archive's own tests install it step by step",
}
"""Pages whose commands have tests of their own."""
NEEDS_THE_HUB = ("model pull", "model bench")
"""They fetch or load weights, which tests of their own do over loopback and with a small model."""


def test_what_is_generated_has_not_drifted(tmp_path: Path) -> None:
    """In a process of its own, as what others import changes how help is laid out."""
    command = [sys.executable, str(ROOT / "docs" / "generate.py"), str(tmp_path)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KUBECTL_INTELLECT")}
    environment["XDG_CONFIG_HOME"] = str(tmp_path)
    subprocess.run(command, check=True, capture_output=True, env=environment, timeout=120)
    for name in GENERATED:
        fresh = (tmp_path / name).read_text("utf-8")
        assert fresh == (ROOT / "docs" / name).read_text("utf-8"), "run python docs/generate.py"


def anchors(page: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^a-z0-9 -]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


MAY_FAIL = {
    "kubectl intellect doctor": "clock failed",  # a recording's clock stands still
    "kubectl intellect model use llamacpp:qwen3-4b": "kubectl intellect model pull qwen3-4b",  # and here it was not
    "kubectl intellect bundle create ./stick --model none": "give it with --archive",  # before `make dist`
    "kubectl intellect bundle install ./stick": "stick",
}
"""What ends in an error on this desk, and the words that show that it is the one meant."""


@dataclass(frozen=True)
class Line:
    """One command of one page."""

    page: str
    text: str


def lines() -> Iterator[Line]:
    for page in PAGES:
        name = page.relative_to(ROOT).as_posix()
        for block in re.findall(r"^```sh\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
            for line in block.splitlines():
                text = re.sub(r"\s+#.*$", "", line).strip()
                if text and not text.startswith("#") and name not in TRIED_ELSEWHERE:
                    yield Line(name, text)


COMMANDS = list(lines())
INTELLECT = [each for each in COMMANDS if "kubectl intellect" in each.text]


@pytest.mark.parametrize("line", [each for each in COMMANDS if each not in INTELLECT], ids=lambda each: each.text)
def test_what_is_set_up_by_hand_exists(line: Line) -> None:
    words = shlex.split(line.text)
    if words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
        assert set(words[1:]) <= set(targets)
    elif words[:2] == ["pip", "install"]:
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
        found = re.fullmatch(r"\.(?:\[(.+)\])?", words[2])
        assert found is not None
        assert not found[1] or set(found[1].split(",")) <= set(extras)
    else:
        pytest.fail(f"{line.page}: nothing tries {line.text}")


def test_no_command_is_shown_in_a_block_that_is_not_tried() -> None:
    """`console` blocks show what was printed; commands to type stand in `sh` blocks."""
    for page in PAGES:
        for kind, block in re.findall(r"^```(\w*)\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL):
            if kind not in ("sh", "console") and page.name not in GENERATED:
                assert "kubectl intellect" not in block, f"{page.name}: {block[:80]}"


# -- with real kubectl -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """A place to type in: real kubectl, the plugin on PATH, a recorded cluster, and the files that are spoken of."""
    try:
        kubectl = ensure_binaries(["kubernetes"])["kubectl"]
    except Lacking as reason:
        lacking(str(reason))
        raise
    from kubectl_ai_intellect.kube.case import load

    place = tmp_path_factory.mktemp("desk")
    path = place / "bin"
    path.mkdir()
    (path / "kubectl").symlink_to(kubectl)
    (path / "kubectl-intellect").symlink_to(Path(sys.executable).with_name("kubectl-intellect"))
    books = place / "docs" / "runbooks" / "service"
    books.mkdir(parents=True)
    shutil.copy(ROOT / "runbooks" / "service" / "selector-mismatch.md", books)
    deployment = 'apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a: "1"}\n'
    (place / "deployment.yaml").write_text(deployment)
    small_model(place / "model.gguf")
    case = load(FOLDER / "service-selector-mismatch.json.gz")
    world, faults = world_of(case)
    with Player(world, place, faults, case.namespace) as player:
        environment = {name: value for name, value in os.environ.items() if not name.endswith("_API_KEY")}
        environment |= {
            "PATH": f"{path}:{os.environ['PATH']}",
            "KUBECONFIG": str(player.kubeconfig),
            "HOME": str(place),
        }
        environment |= {f"XDG_{each}_HOME": str(place / each.lower()) for each in ("CONFIG", "DATA", "CACHE", "STATE")}
        yield place, environment


def small_model(path: Path) -> None:
    from tests.models.random_weights import write

    write(path)


@pytest.mark.controlplane
def test_every_command_works_as_written(desk: tuple[Path, dict[str, str]]) -> None:
    """In the order of the pages, for some use what others made; a fault of one does not hide another's."""
    place, environment = desk
    wrong: list[str] = []
    for line in INTELLECT:
        if any(each in line.text for each in NEEDS_THE_HUB):
            assert known_model(line.text), f"{line.page}: {line.text} names no model of the catalogue"
            continue
        code, error = typed(line.text, place, environment)
        if line.text in MAY_FAIL and MAY_FAIL[line.text] in error:
            continue
        if code not in (0, 3) or "error:" in error or "Traceback" in error:
            wrong.append(f"{line.page}: {line.text} ends with {code}: {error.strip()[-300:]}")
    assert not wrong, "\n".join(wrong)


def typed(text: str, place: Path, environment: dict[str, str]) -> tuple[int, str]:
    """Run a line with its pipes, without a shell."""
    fed: bytes | None = None
    code, error = 0, ""
    for part in re.split(r" \| ", text):
        done = subprocess.run(shlex.split(part), cwd=place, env=environment, input=fed or b"", capture_output=True,
                              timeout=120, check=False)  # fmt: skip
        fed, code, error = done.stdout, done.returncode, done.stderr.decode(errors="replace")
    return code, error


def known_model(text: str) -> bool:
    from kubectl_ai_intellect.gateway.models.catalogue import entries

    names = [word for word in shlex.split(text.split("model ", 1)[1])[1:] if not word.startswith("-")]
    return set(names) <= {each.name for each in entries()}
