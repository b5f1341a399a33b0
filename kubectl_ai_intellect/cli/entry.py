"""The console script: `--version` at once, everything else through the commands; errors as one line."""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    arguments = sys.argv[1:]
    if arguments in (["--version"], ["version"]):
        from kubectl_ai_intellect.version import __version__

        print(f"kubectl intellect {__version__}")
        raise SystemExit(0)
    if arguments[:1] == ["__complete"]:
        from kubectl_ai_intellect.cli.tab import tab

        tab(arguments[1:])
        raise SystemExit(0)
    os.environ.setdefault("GGML_NO_BACKTRACE", "1")
    from kubectl_ai_intellect.errors import IntellectError

    try:
        from kubectl_ai_intellect.cli.app import run

        code = run(arguments)
    except IntellectError as problem:
        print(f"error: {one_line(str(problem))}", file=sys.stderr)
        code = problem.exit_code
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        # whoever read our output has gone; keep the interpreter from complaining about it on its way out
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except Exception as problem:
        # A fault of ours must not end in a page of frames at 3 a.m.; INTELLECT_DEBUG shows them.
        if os.environ.get("INTELLECT_DEBUG"):
            raise
        print(
            f"error: {one_line(f'{type(problem).__name__}: {problem}')} (our fault; INTELLECT_DEBUG=1 shows where)",
            file=sys.stderr,
        )
        code = 1
    sys.stdout.flush()
    raise SystemExit(code)


def one_line(text: str) -> str:
    return " ".join(text.split())


__all__ = ["main"]
