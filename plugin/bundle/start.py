"""What the packaged program runs first: the commands, or the model's worker, which is this program once more."""

from __future__ import annotations

import os
import sys

WORKER = "--model-worker"  # as kubectl_ai_intellect/gateway/llama/process.py spells it


def give_back_environment() -> None:
    """Undo what the package's loader set for itself, so that kubectl and credential plugins load their own libraries."""
    for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LIBPATH"):
        before = os.environ.pop(f"{name}_ORIG", None)
        if before is not None:
            os.environ[name] = before
        else:
            os.environ.pop(name, None)


def main() -> None:
    give_back_environment()
    if sys.argv[1:] == [WORKER]:
        from kubectl_ai_intellect.gateway.llama.worker import main as work

        work()
        return
    from kubectl_ai_intellect.cli.entry import main as run

    run()


if __name__ == "__main__":
    main()
