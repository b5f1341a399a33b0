"""THIRD_PARTY_NOTICES: everything in the archive that others wrote, with its licence in full."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from plugin.bundle.collected import Component

HEAD = """Third-party software in this archive

kubectl intellect is licensed under the Apache License 2.0 (LICENSE). The archive also holds the works below,
each under its own licence. Libraries under the LGPL or the GPL with GCC's runtime exception are files of their
own under _internal/ and can be replaced there.
"""
RULE = "=" * 78


def notices(components: Iterable[Component]) -> str:
    """The list, then every licence text once, with the names of those it is for."""
    components = list(components)
    lines = [HEAD]
    lines += [f"  {each.name} {each.version}: {each.licence}" for each in components]
    shared: dict[str, list[str]] = {}
    for each in components:
        for name, text in each.texts:
            shared.setdefault(text.strip(), []).append(f"{each.name} ({name})")
    for text, owners in shared.items():
        lines += ["", RULE, *owners, RULE, "", text]
    return "\n".join(lines) + "\n"


def untold(components: Iterable[Component]) -> list[str]:
    """Components whose licence text is not at hand; a release must have none."""
    return [f"{each.name} {each.version}" for each in components if not each.texts]


def text_of(name: str) -> tuple[str, str]:
    """A licence text kept here because the package that is built from brings none."""
    return name, (Path(__file__).parent / "licences" / name).read_text(encoding="utf-8")


__all__ = ["notices", "text_of", "untold"]
