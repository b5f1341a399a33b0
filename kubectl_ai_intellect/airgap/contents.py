"""What each file of a bundle is: bundle.json."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kubectl_ai_intellect.airgap.listing import DESCRIPTION, BundleError

Role = Literal["plugin", "manifest", "model", "embedder", "runbook", "document", "index", "readme"]
FORMAT = 1


class Entry(BaseModel):
    """One file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    role: Role
    size: int = Field(ge=0)
    name: str = ""
    """A model's name; a plugin's platform; the embedder's identity for a part of the index."""


class Contents(BaseModel):
    """All files but the lists themselves."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["Bundle"] = "Bundle"
    format: int = FORMAT
    version: str
    created: str
    files: tuple[Entry, ...]

    def of(self, role: Role) -> list[Entry]:
        return [each for each in self.files if each.role == role]


def read(data: bytes) -> Contents:
    try:
        found = Contents.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BundleError(f"{DESCRIPTION} is not a bundle's ({where}: {first['msg']}); make the bundle again") from None
    if found.format != FORMAT:
        raise BundleError(f"the bundle has format {found.format}, this plugin reads {FORMAT}; install its plugin first")
    return found


__all__ = ["FORMAT", "Contents", "Entry", "Role", "read"]
