"""The archive's bill of materials, CycloneDX 1.6 as JSON, the same for the same contents."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime

from cyclonedx.factory.license import LicenseFactory
from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.component import Component as Part
from cyclonedx.model.component import ComponentType
from cyclonedx.model.license import License
from cyclonedx.output import make_outputter
from cyclonedx.schema import OutputFormat, SchemaVersion
from packageurl import PackageURL

from plugin.bundle.collected import Component


def sbom(version: str, archive_sha256: str, components: Iterable[Component], when: int) -> str:
    """What is in the archive of this digest."""
    components = list(components)
    ours = Part(
        name="kubectl-intellect",
        version=version,
        type=ComponentType.APPLICATION,
        bom_ref="kubectl-intellect",
        licenses=[LicenseFactory().make_from_string("Apache-2.0")],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=archive_sha256)],
    )
    parts = [_part(each) for each in components]
    seed = hashlib.sha256(archive_sha256.encode()).hexdigest()
    bom = Bom(
        components=parts,
        metadata=BomMetaData(component=ours, timestamp=datetime.fromtimestamp(when, UTC)),
        serial_number=uuid.UUID(seed[:32], version=4),
    )
    bom.register_dependency(ours, parts)
    return make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string(indent=1) + "\n"


def _part(component: Component) -> Part:
    model = component.name.endswith("-gguf")
    return Part(
        name=component.name,
        version=component.version,
        type=ComponentType.MACHINE_LEARNING_MODEL if model else ComponentType.LIBRARY,
        bom_ref=f"{component.kind}/{component.name}@{component.version}",
        purl=_purl(component),
        licenses=[_licence(component.licence)],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=component.sha256)] if component.sha256 else [],
        external_references=[ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(component.source))]
        if component.source
        else [],
    )


def _licence(text: str) -> License:
    """An SPDX expression where it is one, else the words as they stand."""
    return LicenseFactory().make_from_string(text)


def _purl(component: Component) -> PackageURL:
    namespace = {"deb": "debian", "rpm": "redhat"}.get(component.kind)
    return PackageURL(component.kind, namespace, component.name, component.version)


__all__ = ["sbom"]
