"""Every runbook we ship: in the format, about a known cause, specific, and safe to follow."""

from __future__ import annotations

import re
import shlex
from collections import defaultdict
from pathlib import Path

import pytest
import yaml

from kubectl_ai_intellect.knowledge.library import shipped_directory
from kubectl_ai_intellect.knowledge.readonly import refusal
from kubectl_ai_intellect.knowledge.runbook import SECTIONS, Runbook, examine, load

HOME = shipped_directory()
FILES = sorted(path for path in HOME.rglob("*.md") if path.name != "README.md")
NAMES = [path.relative_to(HOME).as_posix() for path in FILES]
CATALOGUE = Path(__file__).parents[2] / "kubectl_ai_intellect" / "causes" / "catalogue.yaml"
# Verdicts that name no mechanism: there is nothing to mend by a runbook.
NO_RUNBOOK = {"other", "healthy", "inconclusive"}
FEWEST_GUIDES = 20
FILLER = re.compile(
    r"it is important to (?:note|remember)|it's worth noting|as mentioned (?:above|earlier)|in conclusion|"
    r"in summary|needless to say|best practices? (?:dictate|suggest)|lorem ipsum|\bTODO\b|\bTBD\b|\bFIXME\b|"
    r"as an ai|in today's|delve into|ensure that everything|contact your administrator for (?:help|more)",
    re.IGNORECASE,
)
# A file may name what its cause is about; these were removed before 1.30 and cannot be part of a mend.
REMOVED = re.compile(r"extensions/v1beta1|policy/v1beta1|batch/v1beta1|PodSecurityPolicy|autoscaling/v2beta")
ABOUT_REMOVED = ("crd/version-missing", "guide/")
SECRET_ON_SCREEN = re.compile(r"get secrets?\b[^\n|]*-o[= ]?(?:yaml|json)\b")


def catalogue() -> set[str]:
    return set(yaml.safe_load(CATALOGUE.read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def shelf() -> list[Runbook]:
    return [load(path) for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_it_is_in_the_format(path: Path) -> None:
    runbook, faults = examine(path.read_text(encoding="utf-8"), path)
    assert not faults, "\n".join(f"{path}:{fault.line}: {fault.message}" for fault in faults)
    assert runbook is not None
    assert runbook.id == path.relative_to(HOME).as_posix().removesuffix(".md")
    if runbook.id.startswith("guide/"):
        return
    assert runbook.id in catalogue(), "no cause of this id in the catalogue"
    assert [section.title for section in runbook.sections] == list(SECTIONS)
    for section in runbook.sections:
        assert len(section.text) >= 60, f"{section.title} says too little"


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_its_commands_are_sound(path: Path) -> None:
    runbook = load(path)
    for check in runbook.checks:
        assert refusal(check.command) == "", check.command
    for fix in runbook.fixes:
        if fix.yaml and "{{" not in fix.yaml:  # a Helm template is no YAML before it is rendered
            assert list(yaml.safe_load_all(re.sub(r"\{[a-z][a-z0-9_-]*\}", "x", fix.yaml))), fix.title
        shlex.split(fix.command)  # its quotes are closed
    fences = re.findall(r"^\s*(```|~~~)", runbook.body, re.MULTILINE)
    assert len(fences) % 2 == 0, "a fenced block is not closed"


@pytest.mark.parametrize("path", FILES, ids=NAMES)
def test_it_has_no_filler_and_nothing_outdated(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not (found := FILLER.search(text)), found.group()
    runbook = load(path)
    if not runbook.id.startswith(ABOUT_REMOVED):
        mends = "\n".join([runbook.section("Fix it"), *(fix.command + fix.yaml for fix in runbook.fixes)])
        assert not (found := REMOVED.search(mends)), f"{found.group()} is gone since before 1.30"
    assert not (found := SECRET_ON_SCREEN.search(text)), f"prints Secret values: {found.group()}"


def test_every_cause_has_its_runbook() -> None:
    ids = {name.removesuffix(".md") for name in NAMES}
    missing = sorted(catalogue() - NO_RUNBOOK - ids)
    assert not missing, f"{len(missing)} causes without a runbook: {', '.join(missing[:12])}"


def test_there_are_guides() -> None:
    assert sum(name.startswith("guide/") for name in NAMES) >= FEWEST_GUIDES


def test_no_paragraph_is_copied_from_file_to_file(shelf: list[Runbook]) -> None:
    """Prose that fits everywhere tells nothing anywhere."""
    seen: defaultdict[str, set[str]] = defaultdict(set)
    for runbook in shelf:
        for paragraph in re.split(r"\n\s*\n", re.sub(r"```.*?```", "", runbook.body, flags=re.DOTALL)):
            words = " ".join(paragraph.split())
            if len(words) > 100:
                seen[words].add(runbook.id)
    copied = {words[:80]: sorted(ids) for words, ids in seen.items() if len(ids) > 2}
    assert not copied


def test_titles_are_told_apart(shelf: list[Runbook]) -> None:
    titles: defaultdict[str, list[str]] = defaultdict(list)
    for runbook in shelf:
        titles[runbook.title.lower()].append(runbook.id)
    assert not {title: ids for title, ids in titles.items() if len(ids) > 1}
