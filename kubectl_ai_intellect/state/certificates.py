"""Certificates: how long one is valid and for which names, read by a small walk through its DER."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from kubectl_ai_intellect.kube.source import Object, dig

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_TIMES = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}  # UTCTime, GeneralizedTime


class Validity(NamedTuple):
    """From when until when a certificate is good."""

    begins: datetime
    ends: datetime


def validity(secret: Object) -> Validity | None:
    """The validity of a TLS Secret's own certificate (the first of its chain), where its public part was read."""
    data = dig(secret.raw, "data", "tls.crt")
    if not isinstance(data, str):
        return None
    try:
        found = _PEM.search(base64.b64decode(data))
        return _validity(base64.b64decode(found.group(1))) if found else None
    except (ValueError, binascii.Error, IndexError):
        return None


def _validity(der: bytes) -> Validity | None:
    """Certificate → tbsCertificate → the first SEQUENCE of two times."""
    _, certificate = next(_items(der))
    _, signed = next(_items(certificate))
    for tag, content in _items(signed):
        times = [_time(inner, value) for inner, value in _items(content) if inner in _TIMES] if tag == 0x30 else []
        if len(times) == 2:
            return Validity(times[0], times[1])
    return None


def _time(tag: int, value: bytes) -> datetime:
    return datetime.strptime(value.decode("ascii"), _TIMES[tag]).replace(tzinfo=UTC)


def _items(content: bytes) -> Iterator[tuple[int, bytes]]:
    """The elements of a constructed DER value, one level deep."""
    at = 0
    while at + 2 <= len(content):
        tag, size, start = content[at], content[at + 1], at + 2
        if size & 0x80:
            count = size & 0x7F
            if not 0 < count <= 4:
                return
            size, start = int.from_bytes(content[start : start + count]), start + count
        if start + size > len(content):
            return
        yield tag, content[start : start + size]
        at = start + size


__all__ = ["Validity", "validity"]
