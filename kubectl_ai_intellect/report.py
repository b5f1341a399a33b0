"""The JSON contract: what every answer says, whoever renders it. Additions are fine; renames are not."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Status = Literal["root_cause", "healthy", "inconclusive"]
Severity = Literal["critical", "high", "medium", "low"]
SEVERITIES: tuple[Severity, ...] = ("critical", "high", "medium", "low")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ObjectRef(_Part):
    """An object, as kubectl would name it."""

    apiVersion: str = "v1"
    kind: str
    namespace: str | None = None
    name: str

    @property
    def short(self) -> str:
        return f"{self.kind}/{self.name}"


class ChainStep(_Part):
    object: ObjectRef
    because: str
    evidence: list[str] = Field(default_factory=list)


class Fix(_Part):
    kind: Literal["mend", "stopgap"] = "mend"
    title: str
    commands: list[str] = Field(default_factory=list)
    patches: list[dict[str, Any]] = Field(default_factory=list)
    risk: Literal["low", "medium", "high"] = "low"
    unknown: list[str] = Field(default_factory=list)


class ManagedBy(_Part):
    """Who would revert a change made by hand, and where to make it instead."""

    tool: str
    where: str


class Alternative(_Part):
    cause: str
    object: ObjectRef
    confidence: float
    ruledOutBy: list[str] = Field(default_factory=list)


class Verdict(_Part):
    status: Status
    cause: str | None = None
    title: str
    object: ObjectRef | None = None
    affects: list[ObjectRef] = Field(default_factory=list)
    severity: Severity = "low"
    confidence: float = 0.0
    explanation: str = ""
    chain: list[ChainStep] = Field(default_factory=list)
    fix: list[Fix] = Field(default_factory=list)
    mendCheck: Literal["clears", "does_not_clear", "not_checkable"] = "not_checkable"
    managedBy: ManagedBy | None = None
    alternatives: list[Alternative] = Field(default_factory=list)
    missing: list[str] = Field(default_factory=list)
    runbook: str | None = None


class Evidence(_Part):
    id: str
    object: ObjectRef
    command: str
    text: str
    at: str | None = None


class StepRecord(_Part):
    n: int
    hypothesis: str
    command: str
    finding: str
    ms: int
    tokens: int = 0


class Usage(_Part):
    model: str = "none"
    promptTokens: int = 0
    cachedTokens: int = 0
    completionTokens: int = 0
    apiCalls: int = 0
    apiBytes: int = 0
    wallMs: int = 0
    costUSD: float = 0.0


class Passage(_Part):
    """A runbook section that fits what stayed open."""

    runbook: str
    section: str
    text: str
    score: float


class After(_Part):
    """What a question goes on from, and what tells the ill from the well there."""

    question: str
    answer: str
    differences: list[str] = Field(default_factory=list)


class Diagnosis(_Part):
    apiVersion: Literal["intellect/v1"] = "intellect/v1"
    kind: Literal["Diagnosis"] = "Diagnosis"
    question: str
    context: str
    namespace: str
    verdict: Verdict
    findings: list[Verdict] = Field(default_factory=list)
    evidence: list[Evidence] = Field(default_factory=list)
    steps: list[StepRecord] = Field(default_factory=list)
    passages: list[Passage] = Field(default_factory=list)
    after: After | None = None
    usage: Usage = Field(default_factory=Usage)


class Scan(_Part):
    apiVersion: Literal["intellect/v1"] = "intellect/v1"
    kind: Literal["Scan"] = "Scan"
    question: str = "scan"
    context: str
    namespace: str
    findings: list[Verdict] = Field(default_factory=list)
    suppressed: int = 0
    missing: list[str] = Field(default_factory=list)
    evidence: list[Evidence] = Field(default_factory=list)
    steps: list[StepRecord] = Field(default_factory=list)
    usage: Usage = Field(default_factory=Usage)


class Table(_Part):
    status: Literal["answered", "declined", "not_found"]
    text: str
    columns: list[str] = Field(default_factory=list)
    rows: list[list[str]] = Field(default_factory=list)
    command: str = ""
    near: list[ObjectRef] = Field(default_factory=list)


class Answer(_Part):
    apiVersion: Literal["intellect/v1"] = "intellect/v1"
    kind: Literal["Answer"] = "Answer"
    question: str
    context: str
    namespace: str
    answer: Table
    usage: Usage = Field(default_factory=Usage)


Report = Diagnosis | Scan | Answer


def schema() -> dict[str, Any]:
    """The JSON schema of all reports."""
    from pydantic import TypeAdapter

    return TypeAdapter(Report).json_schema()


__all__ = ["SEVERITIES", "After", "Alternative", "Answer", "ChainStep", "Diagnosis", "Evidence", "Fix", "ManagedBy", "ObjectRef",
           "Passage", "Report", "Scan", "Severity", "StepRecord", "Table", "Usage", "Verdict", "schema"]  # fmt: skip
