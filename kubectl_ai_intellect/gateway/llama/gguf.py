"""The header of a GGUF file, read without llama.cpp: what the model is, and whether the file is whole."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from kubectl_ai_intellect.gateway.protocol import ModelError

MAGIC = b"GGUF"
MOST_ENTRIES = 100_000
MOST_TEXT = 16 * 1024 * 1024

_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9

# Tensor types: weights in a block, and bytes of a block.
_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34), 9: (32, 36),
    10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210), 15: (256, 292),
    16: (256, 66), 17: (256, 74), 18: (256, 98), 19: (256, 50), 20: (32, 18), 21: (256, 110), 22: (256, 82),
    23: (256, 136), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 29: (256, 56), 30: (1, 2),
    34: (256, 54), 35: (256, 66), 39: (32, 17),
}  # fmt: skip
# llama.cpp's names for the mixture of a file.
_FILE_TYPES = {
    0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
    12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K",
    19: "IQ2_XXS", 20: "IQ2_XS", 22: "IQ3_XS", 23: "IQ3_XXS", 24: "IQ1_S", 25: "IQ4_NL", 26: "IQ3_S",
    27: "IQ3_M", 28: "IQ2_S", 29: "IQ2_M", 30: "IQ4_XS", 31: "IQ1_M", 32: "BF16",
}  # fmt: skip


class NotAModel(ModelError):
    """The file is no GGUF model, or not all of one."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a model file says about itself."""

    architecture: str
    name: str
    quantisation: str
    context: int
    layers: int
    width: int
    kv_width: int
    vocabulary: int
    chat_template: str
    licence: str
    tensors: int
    size: int
    sliding_window: int = 0

    @property
    def kv_bytes_per_token(self) -> int:
        """Keys and values in 16 bits, over all layers."""
        return 2 * 2 * self.layers * self.kv_width


class _Reader:
    def __init__(self, file: BinaryIO, name: str):
        self._file = file
        self._name = name

    def take(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) != size:
            raise NotAModel(f"{self._name} is truncated: it ends within its header; fetch it again")
        return data

    def number(self, form: str) -> Any:
        return struct.unpack(form, self.take(struct.calcsize(form)))[0]

    def text(self) -> str:
        length = self.number("<Q")
        if length > MOST_TEXT:
            raise NotAModel(f"{self._name} is damaged: a text of {length} bytes in its header; fetch it again")
        return self.take(length).decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        if kind in _SCALARS:
            return self.number(_SCALARS[kind])
        if kind == _STRING:
            return self.text()
        if kind == _ARRAY:
            return self._array()
        raise NotAModel(f"{self._name} is damaged: unknown value type {kind} in its header; fetch it again")

    def _array(self) -> list[Any]:
        """Arrays are vocabularies: only their length matters, and short ones (per-layer numbers) their values."""
        kind, count = self.number("<I"), self.number("<Q")
        if count > MOST_TEXT:
            raise NotAModel(f"{self._name} is damaged: a list of {count} entries in its header; fetch it again")
        if kind in _SCALARS:
            data = self.take(count * struct.calcsize(_SCALARS[kind]))
            if count <= 4096:
                return [one for (one,) in struct.iter_unpack(_SCALARS[kind], data)]
            return [None] * count
        return [self.value(kind) for _ in range(count)]


def read_header(path: Path) -> Header:
    """The header, having checked that the file is as long as its tensors need."""
    try:
        with path.open("rb") as file:
            return _read(file, path)
    except OSError as error:
        raise NotAModel(f"cannot read {path}: {error.strerror}") from error


def _read(file: BinaryIO, path: Path) -> Header:
    reader = _Reader(file, path.name)
    size = path.stat().st_size
    if size < 24 or file.read(4) != MAGIC:
        raise NotAModel(f"{path.name} is not a GGUF model file")
    version = reader.number("<I")
    if version not in (2, 3):
        raise NotAModel(f"{path.name} has GGUF version {version}; version 2 or 3 is needed")
    tensors, entries = reader.number("<Q"), reader.number("<Q")
    if tensors > MOST_ENTRIES or entries > MOST_ENTRIES:
        raise NotAModel(f"{path.name} is damaged: impossible counts in its header; fetch it again")
    values = {reader.text(): reader.value(reader.number("<I")) for _ in range(entries)}
    needed = _data_end(reader, tensors)
    start = file.tell()
    alignment = int(values.get("general.alignment", 32)) or 32
    start += -start % alignment
    if size < start + needed:
        raise NotAModel(f"{path.name} is truncated: {size} of {start + needed} bytes; fetch it again")
    return _header(values, tensors, size, path)


def _data_end(reader: _Reader, tensors: int) -> int:
    end = 0
    for _ in range(tensors):
        reader.text()
        dimensions = [reader.number("<Q") for _ in range(min(reader.number("<I"), 8))]
        kind, offset = reader.number("<I"), reader.number("<Q")
        weights = 1
        for dimension in dimensions:
            weights *= dimension
        block, size = _BLOCKS.get(kind, (1, 0))  # an unknown type: its place is checked, its length cannot be
        end = max(end, offset + weights // block * size)
    return end


def _header(values: dict[str, Any], tensors: int, size: int, path: Path) -> Header:
    architecture = str(values.get("general.architecture", ""))
    if not architecture:
        raise NotAModel(f"{path.name} does not name its architecture")

    def of(key: str, default: int = 0) -> int:
        value = values.get(f"{architecture}.{key}", default)
        if isinstance(value, list):
            value = max((one for one in value if one is not None), default=default)
        return int(value)

    heads, width = of("attention.head_count", 1) or 1, of("embedding_length")
    head_width = of("attention.key_length", width // heads)
    return Header(
        architecture=architecture,
        name=str(values.get("general.name", path.stem)),
        quantisation=_FILE_TYPES.get(values.get("general.file_type", -1), "unknown"),
        context=of("context_length"),
        layers=of("block_count"),
        width=width,
        kv_width=of("attention.head_count_kv", heads) * head_width,
        vocabulary=len(values.get("tokenizer.ggml.tokens", [])),
        chat_template=str(values.get("tokenizer.chat_template", "")),
        licence=str(values.get("general.license", "")),
        tensors=tensors,
        size=size,
        sliding_window=of("attention.sliding_window"),
    )


__all__ = ["Header", "NotAModel", "read_header"]
