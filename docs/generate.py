"""Write what of the documentation comes from the program itself: help texts, settings, the JSON schema.

    python docs/generate.py [DIR]    write commands.md, configuration.md and schema.json, here or into DIR

A test compares the files with what this would write, so that help and documentation cannot drift apart.
"""

from __future__ import annotations

import ast
import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).parent
PACKAGE = HERE.parent / "kubectl_ai_intellect"
WIDTH = "100"


def files() -> dict[str, str]:
    """Every generated file's name and text."""
    return {"commands.md": commands(), "configuration.md": configuration(), "schema.json": schema()}


def commands() -> str:
    """The help of every command, as it is printed."""
    parts = ["# Commands\n", "Generated from the program by `python docs/generate.py`.\n"]
    for words in every_command():
        title = " ".join(["kubectl intellect", *words])
        parts.append(f"## {title}\n\n```text\n{help_of(words).rstrip()}\n```\n")
    return "\n".join(parts)


def every_command() -> Iterator[tuple[str, ...]]:
    from kubectl_ai_intellect.cli.app import GROUPS

    yield ()
    for single in ("scan", "demo", "doctor"):
        yield (single,)
    for group in sorted(GROUPS):
        yield (group,)
        for action in sorted(GROUPS[group]):
            yield (group, action)


def help_of(words: tuple[str, ...]) -> str:
    from kubectl_ai_intellect.cli.app import run

    os.environ["COLUMNS"] = WIDTH
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        run([*words, "--help"])
    lines = printed.getvalue().replace(str(Path.home()), "~").splitlines()
    return "\n".join(line.rstrip() for line in lines)


def configuration() -> str:
    """A table of every setting, with the words that stand beside it in the code."""
    rows = [
        "# Configuration\n",
        "Generated from the program by `python docs/generate.py`. The file is",
        "`$XDG_CONFIG_HOME/kubectl-intellect/config.toml`; `kubectl intellect config set KEY VALUE` writes it, and",
        "`KUBECTL_INTELLECT_MODEL__NAME=…` in the environment overrides `model.name`.\n",
        "| Key | Default | Meaning |",
        "|:--|:--|:--|",
    ]
    rows += [f"| `{key}` | `{default}` | {meaning} |" for key, default, meaning in settings()]
    return "\n".join(rows) + "\n"


def settings() -> Iterator[tuple[str, str, str]]:
    """Key, default and meaning, from the classes in settings.py in their order."""
    classes = {each.name: each for each in ast.parse((PACKAGE / "settings.py").read_text("utf-8")).body
               if isinstance(each, ast.ClassDef)}  # fmt: skip
    from kubectl_ai_intellect.settings import Settings

    defaults = Settings().model_dump()

    def walk(name: str, prefix: str, values: dict[str, object]) -> Iterator[tuple[str, str, str]]:
        body = classes[name].body
        for number, field in enumerate(body):
            if not (isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)):
                continue
            key, kind = field.target.id, ast.unparse(field.annotation)
            value = values.get(key)
            if isinstance(value, dict) and kind in classes:
                yield from walk(kind, f"{prefix}{key}.", value)
            elif key in values:
                yield f"{prefix}{key}", json.dumps(value), meaning(body[number + 1 : number + 2])

    yield from walk("Settings", "", defaults)


def meaning(following: list[ast.stmt]) -> str:
    """The string that stands below a field."""
    for each in following:
        if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant) and isinstance(each.value.value, str):
            return " ".join(each.value.value.split()).replace("|", "\\|")
    return ""


def schema() -> str:
    from kubectl_ai_intellect import report

    return json.dumps(report.schema(), indent=2, sort_keys=True) + "\n"


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    for name, text in files().items():
        (target / name).write_text(text, "utf-8")
        print(f"wrote {name}")
