"""Build the index of our runbooks that a bundle or wheel brings ready-made.

    python plugin/embedder/index.py [--model FILE.gguf] [--out kubectl_ai_intellect/_data/index]

Run plugin/embedder/convert.py first; without its result this fails rather than shipping a lesser index.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from kubectl_ai_intellect.knowledge.building import build_shipped
from kubectl_ai_intellect.knowledge.embedders import choose

HOME = Path(__file__).parents[2] / "kubectl_ai_intellect" / "_data" / "index"


def main() -> None:
    parser = argparse.ArgumentParser(description="Build the index that a bundle brings along.")
    parser.add_argument("--model", default="", help="the embedder's GGUF; the default one where it is found")
    parser.add_argument("--out", type=Path, default=HOME)
    parser.add_argument("--earlier", type=Path, help="an index made by the same code, to carry over from")
    options = parser.parse_args()
    embedder, note = choose(options.model)
    if note:
        raise SystemExit(note)
    report = build_shipped(options.out, embedder, earlier=options.earlier)
    size = sum(path.stat().st_size for path in options.out.iterdir())
    print(
        f"{report.embedded + report.kept} runbooks ({report.embedded} embedded anew), {size / 1e6:.1f} MB: {options.out}"
    )


if __name__ == "__main__":
    main()
