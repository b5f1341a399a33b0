"""Fill the krew manifest from the archives in dist/.

python -m plugin.krew                     # dist/krew-manifest.yaml for the platforms built here
python -m plugin.krew --all --out FILE    # a release: every platform must have been built
python -m plugin.krew --unreleased --out krew-manifest.yaml   # the repository's own copy
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from kubectl_ai_intellect.version import __version__
from plugin.krew import manifest, rules

ROOT = Path(__file__).parents[2]
NOTE = """\
# The repository's copy, written by `python -m plugin.krew --unreleased`: the zeros stand for archives that only a
# release has. `make dist` writes dist/krew-manifest.yaml with the sha256 of what was built on this machine.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description="Fill the krew manifest from the archives in dist/.")
    parser.add_argument("--dist", type=Path, default=ROOT / "dist", help="where the archives are")
    parser.add_argument("--out", type=Path, help="the manifest to write (default: dist/krew-manifest.yaml)")
    parser.add_argument("--name", default=manifest.NAME, help=f"the plugin's name, or {manifest.FALLBACK}")
    parser.add_argument("--repository", default=os.environ.get("GITHUB_REPOSITORY", manifest.REPOSITORY))
    parser.add_argument("--glibc", default=manifest.GLIBC, help="the floor that the build printed")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--all", action="store_true", help="fail unless every platform has its archive")
    which.add_argument("--unreleased", action="store_true", help="zeros in place of every sha256")
    options = parser.parse_args()
    digests = manifest.built(__version__, options.dist)
    if options.unreleased:
        digests = dict.fromkeys(manifest.PLATFORMS, manifest.UNRELEASED)
    lacking = [manifest.archive_name(__version__, *each) for each in manifest.PLATFORMS if each not in digests]
    if lacking and (options.all or not digests):
        raise SystemExit(f"not built yet: {', '.join(lacking)} in {options.dist}; make dist builds this platform's")
    text = manifest.filled(manifest.Release(__version__, options.name, options.repository, options.glibc), digests)
    if problems := rules.problems(text):
        raise SystemExit("krew would refuse this: " + "; ".join(problems))
    target = options.out or options.dist / "krew-manifest.yaml"
    target.write_text((NOTE if options.unreleased else "") + text, encoding="utf-8")
    print(f"krew      {target.name}: {len(digests)} of {len(manifest.PLATFORMS)} platforms")


if __name__ == "__main__":
    main()
