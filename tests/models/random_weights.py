"""GGUF models with random weights, of any shape: whatever tokens they emit, the house must stand.

The vocabulary is byte level, so every text can be spelled, with longer tokens that run over the seams of a
grammar. Weights are written tensor by tensor from one block of random numbers, so that a model of a real
one's size needs little memory to write.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import importlib.metadata
import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from tests.models.spelling import byte_letters, learned

CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
CHATML = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
BLOCK = 1 << 22
FORMAT = 1  # of what is written here: another number makes kept files anew


@dataclass(frozen=True, slots=True)
class Shape:
    """The numbers that make a dense Qwen3-like model."""

    layers: int = 2
    width: int = 64
    inner: int = 128
    heads: int = 4
    kv_heads: int = 2
    head_width: int = 16
    vocabulary: int = 2000
    context: int = 8192
    words: int = 0  # learned ones, of the vocabulary
    architecture: str = "qwen3"


TINY = Shape()
# 256 is the smallest row that K-quantisation takes.
SMALL = replace(TINY, width=256, inner=512, heads=4, head_width=64)
# Reads our prompts in about as many tokens as a real model, and so gets as far as being asked.
READER = replace(TINY, layers=1, words=1600)
QWEN3_06B = Shape(28, 1024, 3072, 16, 8, 128, 151_936)
QWEN3_4B = Shape(36, 2560, 9728, 32, 8, 128, 151_936)


def write(path: Path, shape: Shape = TINY, seed: int = 0) -> Path:
    """A model in 16-bit floats."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".writing")
    writer = gguf.GGUFWriter(str(part), shape.architecture)
    _metadata(writer, shape)
    tensors = list(_tensors(shape))
    for name, dimensions, norm in tensors:
        kind, size = (np.float32, 4) if norm else (np.float16, 2)
        writer.add_tensor_info(name, dimensions, np.dtype(kind), int(np.prod(dimensions)) * size)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    random = np.random.default_rng(seed)
    block = (random.standard_normal(BLOCK) * 0.04).astype(np.float16)
    for _, dimensions, norm in tensors:
        writer.write_tensor_data(np.ones(dimensions, np.float32) if norm else _filled(block, dimensions, random))
    writer.close()
    part.replace(path)
    return path


def _filled(block: Any, dimensions: tuple[int, ...], random: Any) -> Any:
    """A tensor's worth of the block, from somewhere in it."""
    count = int(np.prod(dimensions))
    start = int(random.integers(0, len(block)))
    repeats = -(-(count + start) // len(block))
    return np.tile(block, repeats)[start : start + count].reshape(dimensions)


def quantised(source: Path, target: Path, kind: str = "Q4_K_M") -> Path:
    """The model through llama.cpp's own quantiser."""
    lib: Any = importlib.import_module("llama_cpp.llama_cpp")
    silent = lib.llama_log_callback(lambda *_: None)
    lib.llama_log_set(silent, ctypes.c_void_p(0))
    params = lib.llama_model_quantize_default_params()
    params.ftype = getattr(lib, f"LLAMA_FTYPE_MOSTLY_{kind}")
    part = target.with_suffix(".writing")
    result = lib.llama_model_quantize(os.fsencode(source), os.fsencode(part), ctypes.byref(params))
    if result != 0:
        raise RuntimeError(f"llama.cpp could not quantise {source.name} ({result})")
    part.replace(target)
    return target


def kept(directory: Path, name: str, shape: Shape, kind: str = "Q4_K_M", seed: int = 0) -> Path:
    """The quantised model, made once; its name holds the hash of all it is made from."""
    version = importlib.metadata.version("llama-cpp-python")
    made_from = f"{shape}\0{kind}\0{seed}\0{version}\0{FORMAT}"
    key = hashlib.sha256(made_from.encode()).hexdigest()[:16]
    path = directory / f"{name}-random-{kind.lower()}-{key}.gguf"
    if not path.is_file():
        directory.mkdir(parents=True, exist_ok=True)
        wide = write(path.with_suffix(".f16"), shape, seed)
        try:
            quantised(wide, path)
        finally:
            wide.unlink()
    return path


def _metadata(writer: Any, shape: Shape) -> None:
    writer.add_name("random weights")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.width)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_key_length(shape.head_width)
    writer.add_value_length(shape.head_width)
    writer.add_rope_freq_base(1_000_000.0)
    writer.add_layer_norm_rms_eps(1e-6)
    tokens = _vocabulary(shape)
    kinds = [gguf.TokenType.CONTROL if token in CONTROL else gguf.TokenType.NORMAL for token in tokens]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    writer.add_token_merges(_merges(shape, tokens))
    writer.add_bos_token_id(tokens.index("<|endoftext|>"))
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHATML)


def _vocabulary(shape: Shape) -> list[str]:
    """Bytes, control tokens, learned words, then longer and longer texts, among them pieces of JSON."""
    size = shape.vocabulary
    tokens = list(dict.fromkeys([*byte_letters(), *CONTROL, *map("".join, learned(shape.words))]))
    seen = set(tokens)
    letters = 'abcdefghijklmnopqrstuvwxyz{}":,[]Ġ0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ./-_'
    for length in itertools.count(2):
        for combination in itertools.product(letters, repeat=length):
            if len(tokens) >= size:
                return tokens
            text = "".join(combination)
            if text not in seen:
                seen.add(text)
                tokens.append(text)
    return tokens


def _merges(shape: Shape, tokens: list[str]) -> list[str]:
    """How words are put together; without learned ones, two-character tokens arise and longer ones are only emitted."""
    if shape.words:
        return [" ".join(pair) for pair in learned(shape.words)]
    return [f"{token[0]} {token[1]}" for token in tokens if len(token) == 2][:5000]


def _tensors(shape: Shape) -> Iterator[tuple[str, tuple[int, ...], bool]]:
    """Name, dimensions, and whether it is a norm; the output shares the embedding."""
    queries, keys = shape.heads * shape.head_width, shape.kv_heads * shape.head_width
    yield "token_embd.weight", (shape.vocabulary, shape.width), False
    yield "output_norm.weight", (shape.width,), True
    for layer in range(shape.layers):
        block = f"blk.{layer}."
        yield block + "attn_norm.weight", (shape.width,), True
        yield block + "attn_q.weight", (queries, shape.width), False
        yield block + "attn_k.weight", (keys, shape.width), False
        yield block + "attn_v.weight", (keys, shape.width), False
        yield block + "attn_output.weight", (shape.width, queries), False
        yield block + "attn_q_norm.weight", (shape.head_width,), True
        yield block + "attn_k_norm.weight", (shape.head_width,), True
        yield block + "ffn_norm.weight", (shape.width,), True
        yield block + "ffn_gate.weight", (shape.inner, shape.width), False
        yield block + "ffn_up.weight", (shape.inner, shape.width), False
        yield block + "ffn_down.weight", (shape.width, shape.inner), False


__all__ = ["QWEN3_06B", "QWEN3_4B", "READER", "SMALL", "TINY", "Shape", "kept", "quantised", "write"]
