"""Findings that a team has accepted for now: cause, object, a reason, and a day when the acceptance ends."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from kubectl_ai_intellect.errors import IntellectError
from kubectl_ai_intellect.report import Verdict


class Suppression(BaseModel):
    """One row of an ignore file. `cause` and `object` (Kind/name) may have wildcards; `until` is the last day."""

    model_config = ConfigDict(extra="forbid")

    cause: str = "*"
    object: str = "*"
    namespace: str = "*"
    reason: str
    until: date

    def covers(self, verdict: Verdict, now: datetime) -> bool:
        at = verdict.object
        return (
            now.date() <= self.until
            and fnmatchcase(verdict.cause or "", self.cause)
            and fnmatchcase(at.short if at else "", self.object)
            and fnmatchcase((at.namespace if at else "") or "", self.namespace)
        )


def load(path: str) -> list[Suppression]:
    """The rows of a YAML file: a list of {cause, object, namespace, reason, until}."""
    import yaml

    try:
        rows: Any = yaml.safe_load(Path(path).read_text("utf-8"))
    except OSError as problem:
        raise IntellectError(f"cannot read the ignore file {path}: {problem.strerror}") from problem
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise IntellectError(f"the ignore file {path} is no YAML: {str(problem).splitlines()[0]}") from problem
    if not isinstance(rows, list):
        raise IntellectError(f"the ignore file {path} is not a list of rows with cause, object, reason and until")
    found: list[Suppression] = []
    for number, row in enumerate(rows, 1):
        try:
            found.append(Suppression.model_validate(row))
        except ValidationError as problem:
            first = problem.errors()[0]
            where = ".".join(str(each) for each in first["loc"])
            raise IntellectError(f"the ignore file {path}, row {number}: {where}: {first['msg']}") from problem
    return found


def apart(verdicts: Sequence[Verdict], rows: Sequence[Suppression], now: datetime) -> tuple[list[Verdict], int]:
    """The verdicts that stand, and how many are suppressed."""
    standing = [each for each in verdicts if not any(row.covers(each, now) for row in rows)]
    return standing, len(verdicts) - len(standing)


__all__ = ["Suppression", "apart", "load"]
