"""What krew refuses in a manifest or an archive, and what its reviewers send back, rule by rule.

krew itself cannot be had everywhere this is built, so each rule is one small function that yields what is wrong.
"""

from __future__ import annotations

import io
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

Manifest = dict[str, Any]
Rule = Callable[[Manifest], Iterator[str]]

API_VERSION = "krew.googlecontainertools.github.com/v1alpha2"
SEMVER = re.compile(r"v(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?")
KNOWN = {
    "linux": {"386", "amd64", "arm", "arm64", "ppc64le"},
    "darwin": {"386", "amd64", "arm64"},
    "windows": {"386", "amd64", "arm64"},
}
LINE = 80
SHORT = 50


def kind(manifest: Manifest) -> Iterator[str]:
    """apiVersion v1alpha2 and kind Plugin."""
    if manifest.get("apiVersion") != API_VERSION:
        yield f"apiVersion must be {API_VERSION}"
    if manifest.get("kind") != "Plugin":
        yield "kind must be Plugin"


def fields(manifest: Manifest) -> Iterator[str]:
    """No key that krew does not know: a misspelt one would be passed over in silence."""
    known = {
        "": {"apiVersion", "kind", "metadata", "spec"},
        "metadata": {"name"},
        "spec": {"version", "homepage", "shortDescription", "description", "caveats", "platforms"},
    }
    for where, names in known.items():
        part = manifest.get(where, {}) if where else manifest
        yield from (f"unknown field {where}.{name}" for name in part if name not in names)
    for each in platforms(manifest):
        yield from (
            f"unknown field {name}" for name in each if name not in {"selector", "uri", "sha256", "files", "bin"}
        )


def name(manifest: Manifest) -> Iterator[str]:
    """Lower-case words and hyphens, without the word kubectl."""
    given = str(manifest.get("metadata", {}).get("name", ""))
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", given):
        yield f"metadata.name {given!r} must be lower-case words joined by hyphens"
    if "kube" in given:
        yield "metadata.name must not repeat kubectl or kube"


def version(manifest: Manifest) -> Iterator[str]:
    """A semantic version with a v before it."""
    given = str(_spec(manifest).get("version", ""))
    if not SEMVER.fullmatch(given):
        yield f"spec.version {given!r} must look like v1.2.3"


def homepage(manifest: Manifest) -> Iterator[str]:
    """A page to read more on."""
    if not str(_spec(manifest).get("homepage", "")).startswith("https://"):
        yield "spec.homepage must be an https address"


def short_description(manifest: Manifest) -> Iterator[str]:
    """One line of at most 50 characters that does not say Kubernetes, which goes without saying."""
    text = str(_spec(manifest).get("shortDescription", ""))
    if not text or "\n" in text:
        yield "spec.shortDescription must be one line"
    if len(text) > SHORT:
        yield f"spec.shortDescription has {len(text)} characters; at most {SHORT}"
    if re.search(r"kubernetes|kubectl|k8s", text, re.IGNORECASE):
        yield "spec.shortDescription must not say Kubernetes or kubectl"
    if text.endswith("."):
        yield "spec.shortDescription ends without a full stop"


def description(manifest: Manifest) -> Iterator[str]:
    """Wrapped at 80, and without usage examples, which the plugin's own help has."""
    text = str(_spec(manifest).get("description", ""))
    if not text.strip():
        yield "spec.description is missing"
    for number, line in enumerate(text.splitlines(), start=1):
        if len(line) > LINE:
            yield f"spec.description line {number} has {len(line)} characters; at most {LINE}"
    if re.search(r"^\s*(\$|kubectl)|\bkubectl \w|\busage:|\bexamples?:", text, re.IGNORECASE | re.MULTILINE):
        yield "spec.description must not hold usage examples"


def caveats(manifest: Manifest) -> Iterator[str]:
    """Wrapped at 80 like the description."""
    for number, line in enumerate(str(_spec(manifest).get("caveats", "")).splitlines(), start=1):
        if len(line) > LINE:
            yield f"spec.caveats line {number} has {len(line)} characters; at most {LINE}"


def selectors(manifest: Manifest) -> Iterator[str]:
    """Each platform chosen by os and arch alone, and none chosen twice."""
    if not platforms(manifest):
        yield "spec.platforms must not be empty"
    seen: set[tuple[str, str]] = set()
    for each in platforms(manifest):
        selector = each.get("selector") or {}
        labels = selector.get("matchLabels") or {}
        if set(selector) != {"matchLabels"} or set(labels) != {"os", "arch"}:
            yield f"selector {selector} must match os and arch, and nothing else"
            continue
        chosen = (labels["os"], labels["arch"])
        if chosen[1] not in KNOWN.get(chosen[0], set()):
            yield f"krew runs on no {'/'.join(chosen)}"
        if chosen in seen:
            yield f"two platforms for {'/'.join(chosen)}"
        seen.add(chosen)


def digests(manifest: Manifest) -> Iterator[str]:
    """sha256 as 64 lower-case hexadecimal digits."""
    for each in platforms(manifest):
        if not re.fullmatch(r"[0-9a-f]{64}", str(each.get("sha256", ""))):
            yield f"sha256 {each.get('sha256')!r} must be 64 lower-case hexadecimal digits"


def uris(manifest: Manifest) -> Iterator[str]:
    """A fixed address for this version: https, and the version in it."""
    for each in platforms(manifest):
        uri = str(each.get("uri", ""))
        if not re.fullmatch(r"https://\S+\.(tar\.gz|zip)", uri):
            yield f"uri {uri!r} must be the https address of a .tar.gz or .zip"
        if str(_spec(manifest).get("version")) not in uri:
            yield f"uri {uri!r} must name the version, or a later release would change what it gives"


def files(manifest: Manifest) -> Iterator[str]:
    """Clean relative targets inside, and among the files the program and the licence."""
    for each in platforms(manifest):
        moves = each.get("files") or []
        if not moves:
            yield "files must not be empty"
        for move in moves:
            source, target = str(move.get("from", "")), str(move.get("to", ""))
            if not source or not target or set(move) != {"from", "to"}:
                yield f"files entry {move} needs from and to"
            if target != _cleaned(target):
                yield f"files target {target!r} must be written {_cleaned(target)!r}"
            if any(".." in part.split("/") or part.startswith("/") for part in (source, target)):
                yield f"files entry {move} leaves the archive or the installation"
        sources = {str(move.get("from")) for move in moves}
        if each.get("bin") not in sources:
            yield f"files must bring {each.get('bin')}"
        if "LICENSE" not in sources:
            yield "files must bring LICENSE"


def binary(manifest: Manifest) -> Iterator[str]:
    """A relative path; .exe on Windows and only there."""
    for each in platforms(manifest):
        path = str(each.get("bin", ""))
        os = ((each.get("selector") or {}).get("matchLabels") or {}).get("os")
        if not path or path.startswith("/") or ".." in path:
            yield f"bin {path!r} must be a path inside the installation"
        if path.endswith(".exe") != (os == "windows"):
            yield f"bin {path!r} on {os}: .exe on Windows and only there"


def _spec(manifest: Manifest) -> dict[str, Any]:
    return manifest.get("spec") or {}


def platforms(manifest: Manifest) -> list[dict[str, Any]]:
    return _spec(manifest).get("platforms") or []


def _cleaned(path: str) -> str:
    """As Go's filepath.Clean would write a relative path."""
    import posixpath

    return posixpath.normpath(path) if path else "."


RULES: tuple[Rule, ...] = (
    kind, fields, name, version, homepage, short_description, description, caveats, selectors, digests, uris, files,
    binary,
)  # fmt: skip


def problems(text: str) -> list[str]:
    """Everything krew or its reviewers would say about a manifest."""
    manifest: Any = yaml.safe_load(text)
    if not isinstance(manifest, dict):
        return ["a manifest is a YAML mapping"]
    return [problem for rule in RULES for problem in rule(manifest)]


def archive_problems(data: bytes, platform: Manifest) -> list[str]:
    """What krew would refuse in an archive, which it holds in memory while it unpacks it."""
    if data[:2] == b"\x1f\x8b":
        names, found = _tar(data)
    elif data[:4] == b"PK\x03\x04":
        names, found = _zip(data)
    else:
        return ["neither gzip nor zip by its first bytes"]
    for entry in names:
        if ".." in entry:
            found.append(f"{entry}: two dots in a row")
        if entry.startswith(("/", "\\")):
            found.append(f"{entry}: an absolute name")
    for move in platform.get("files") or []:
        pattern = "".join("[^/]*" if each == "*" else re.escape(each) for each in str(move["from"]))
        if not any(re.fullmatch(f"{pattern}(/.*)?", entry) for entry in names):
            found.append(f"no file in the archive matches {move['from']}")
    if platform.get("bin") not in names:
        found.append(f"{platform.get('bin')} is not in the archive")
    return found


def _tar(data: bytes) -> tuple[list[str], list[str]]:
    names: list[str] = []
    found: list[str] = []
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as tar:
        for entry in tar:
            names.append(entry.name)
            if entry.type not in (tarfile.DIRTYPE, tarfile.REGTYPE):
                found.append(f"{entry.name}: entry of type {entry.type!r}; only directories and regular files")
    return names, found


def _zip(data: bytes) -> tuple[list[str], list[str]]:
    with zipfile.ZipFile(io.BytesIO(data)) as packed:
        entries = packed.infolist()
    links = [each.filename for each in entries if (each.external_attr >> 16) & 0o170000 == 0o120000]
    return [each.filename.rstrip("/") for each in entries], [f"{name}: a link" for name in links]


def read(path: Path) -> Manifest:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


__all__ = ["RULES", "Manifest", "archive_problems", "platforms", "problems", "read"]
