"""A worker process and the pipes to it: start, ask, cancel, notice its death."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

from kubectl_ai_intellect.evidence.redact import clean
from kubectl_ai_intellect.gateway.llama import wire
from kubectl_ai_intellect.gateway.protocol import ModelCancelled, ModelError, ModelGone

BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from kubectl_ai_intellect.gateway.llama.worker import main; main()"
)
PACKAGED_WORKER = "--model-worker"
SPINS = "1000"  # about a microsecond
# What the worker needs of our environment; keys and tokens are not among it.
PASSED_ON = [
    "HOME",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "PATH",
    "PYTHONHOME",
    "PYTHONPATH",
    "TMPDIR",
    "CUDA_VISIBLE_DEVICES",
    "GGML_METAL_PATH_RESOURCES",
    "GOMP_SPINCOUNT",
    "LLAMA_CPP_LIB_PATH",
    "OMP_NUM_THREADS",
    "OMP_WAIT_POLICY",
]


class WorkerProcess:
    """One worker; one question at a time, from any thread."""

    def __init__(self) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            _command(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=_environment(),
            bufsize=0,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._in, self._out = self._process.stdin, self._process.stdout
        os.set_blocking(self._out.fileno(), False)
        self._frames = wire.Unpacker()
        self._lock = threading.Lock()
        self._number = 0
        self._asking = -1
        self._gone = ""
        self._saving = False

    @property
    def pid(self) -> int:
        return self._process.pid

    def send(self, message: dict[str, Any]) -> int:
        """Put a question; its number."""
        if self._gone:
            raise ModelGone(self._gone)
        self._number += 1
        try:
            self._write({**message, "id": self._number})
        except OSError:
            raise self._dead() from None
        return self._number

    def ask(
        self, message: dict[str, Any], timeout: float, on_text: Callable[[str], None] | None = None
    ) -> dict[str, Any]:
        """Put a question and wait for the answer; an interruption cancels it at once."""
        with self._lock:
            number = self.send(message)
            return self.wait(number, timeout, on_text)

    def wait(self, number: int, timeout: float, on_text: Callable[[str], None] | None = None) -> dict[str, Any]:
        """The answer to a question already put."""
        self._asking = number
        deadline = time.monotonic() + timeout
        try:
            while True:
                for frame in self._receive(deadline):
                    if frame.get("id") != number:
                        continue  # the late answer to a question we gave up
                    if frame.get("done"):
                        self._saving = bool(frame.get("saving"))
                        return _checked(frame)
                    if on_text is not None and frame.get("text"):
                        on_text(frame["text"])
        except TimeoutError:
            self.cancel()
            raise ModelError(
                f"the model did not answer within {timeout:g} s; set model.timeout or a smaller model"
            ) from None
        except BaseException:
            self.cancel()  # Ctrl-C: the worker stops by itself, we do not wait for it
            raise
        finally:
            self._asking = -1

    def cancel(self) -> None:
        """Stop the question being answered; safe from any thread and any state."""
        number = self._asking
        if number >= 0 and not self._gone:
            with contextlib.suppress(OSError):
                self._write({"op": "cancel", "id": number})

    def _write(self, message: dict[str, Any]) -> None:
        data = memoryview(wire.pack(message))
        while data:
            data = data[self._in.write(data) :]

    def _receive(self, deadline: float) -> list[dict[str, Any]]:
        """Whatever has arrived, waiting if nothing has."""
        with selectors.DefaultSelector() as selector:
            selector.register(self._out, selectors.EVENT_READ)
            if not selector.select(max(deadline - time.monotonic(), 0)):
                raise TimeoutError
        try:
            data = self._out.read(1 << 16)
            if data:
                return self._frames.feed(data)
        except (OSError, ValueError, wire.Closed):
            data = b""
        if data is None:
            return []
        raise self._dead()

    def _dead(self) -> ModelGone:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1)
        self._gone = f"the model's process ended ({_ending(self._process.returncode)}){self._last_words()}"
        self.close()
        return ModelGone(self._gone)

    def _last_words(self) -> str:
        """The last line on its error stream: llama.cpp's assertion, or Python's exception."""
        try:
            size = self._errors.seek(0, os.SEEK_END)
            self._errors.seek(max(0, size - 2000))
            lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        except (OSError, ValueError):
            return ""
        return f": {clean(lines[-1].strip())[:200]}" if lines else ""

    def close(self) -> None:
        """End the process: at once, unless it is writing down what it has read for the next one."""
        self._gone = self._gone or "the model was closed"
        for stream in (self._in, self._out):
            with contextlib.suppress(OSError):
                stream.close()
        if self._process.poll() is None:
            try:
                self._process.wait(5 if self._saving else 0.5)  # it leaves by itself when its pipe closes
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._errors.close()


def _checked(frame: dict[str, Any]) -> dict[str, Any]:
    if "error" not in frame:
        return frame
    if frame.get("kind") == "cancelled":
        raise ModelCancelled("the model was stopped")
    raise ModelError(clean(str(frame["error"])))


def _ending(code: int | None) -> str:
    if code is None:
        return "its pipe closed"
    if code < 0:
        import signal

        with contextlib.suppress(ValueError):
            return signal.Signals(-code).name
    return f"exit code {code}"


def _command() -> list[str]:
    """This program once more, as the worker; a packaged one is its own interpreter (plugin/bundle/start.py)."""
    if getattr(sys, "frozen", False):
        return [sys.executable, PACKAGED_WORKER]
    return [sys.executable, "-c", BOOT, json.dumps([os.path.abspath(entry) for entry in sys.path])]


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    # GGML_NO_BACKTRACE: else llama.cpp starts a debugger on itself when an assertion fails.
    # GOMP_SPINCOUNT: else its threads wait for each other by spinning, and on a busy machine, where one of them
    # is not running, a token takes seconds.
    return {"GOMP_SPINCOUNT": SPINS, **kept, "GGML_NO_BACKTRACE": "1", "PYTHONUTF8": "1"}


__all__ = ["PACKAGED_WORKER", "WorkerProcess"]
