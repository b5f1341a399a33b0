"""`python -m tests.cluster.images [NAME…]`: build what is missing and print where the archives are."""

from __future__ import annotations

import sys

from tests.cluster.images.build import ImagesUnavailable, default_cache, ensure_images
from tests.cluster.images.recipes import RECIPES


def main(names: list[str]) -> int:
    unknown = sorted(set(names) - set(RECIPES))
    if unknown:
        print(f"no such image: {', '.join(unknown)}; there are {', '.join(RECIPES)}", file=sys.stderr)
        return 2
    try:
        built = ensure_images(default_cache(), names or None)
    except ImagesUnavailable as reason:
        print(reason, file=sys.stderr)
        return 1
    for name, archive in built.items():
        print(f"{name:10} {archive.stat().st_size / 2**20:6.1f} MiB  {archive}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
