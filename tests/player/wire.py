"""The one message that kubectl sends in protobuf: an access review. Just enough of the format to read it."""

from __future__ import annotations

from typing import Any

MAGIC = b"k8s\x00"
ATTRIBUTES = {1: "namespace", 2: "verb", 3: "group", 4: "version", 5: "resource", 6: "subresource", 7: "name"}
"""Field numbers of authorization.k8s.io/v1 ResourceAttributes; further ones are messages of their own."""


def access_review(body: bytes) -> dict[str, Any]:
    """A SelfSubjectAccessReview as JSON would have it."""
    envelope = _fields(body.removeprefix(MAGIC))
    kind = _fields(envelope[1]).get(2, b"").decode()
    spec = _fields(_fields(envelope[2]).get(2, b""))
    attributes = {ATTRIBUTES[n]: text.decode() for n, text in _fields(spec.get(1, b"")).items() if n in ATTRIBUTES}
    version = {"apiVersion": "authorization.k8s.io/v1", "kind": kind}
    return {**version, "spec": {"resourceAttributes": {key: value for key, value in attributes.items() if value}}}


def _fields(message: bytes) -> dict[int, bytes]:
    """A message's fields that are texts or messages; numbers are stepped over."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(message):
        key, at = _number(message, at)
        length, at = _number(message, at)
        if key & 7 == 2:
            found[key >> 3] = message[at : at + length]
            at += length
        elif key & 7 != 0:
            raise ValueError(f"wire type {key & 7} in an access review")
    return found


def _number(message: bytes, at: int) -> tuple[int, int]:
    """A varint, and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if not byte & 0x80:
            return value, at


__all__ = ["access_review"]
