"""llama.cpp through its C interface: tokens in, logits out, and a key-value memory kept in step with a list.

Runs in the worker process only. Whatever fails here raises EngineError; what fails inside the library may end
the process, which is why it is one of its own.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubectl_ai_intellect.native import load_cpu_code

BATCH = 256


class EngineError(Exception):
    """llama.cpp refused; the message is for the user."""


class Aborted(Exception):
    """The evaluation was cancelled; what was read so far stays read."""


@dataclass(frozen=True, slots=True)
class Load:
    """How a model file is to be opened."""

    path: str
    context: int
    threads: int
    gpu_layers: int = 0


class Engine:
    """One model, one sequence. `held` is exactly what the memory holds."""

    def __init__(self, load: Load):
        self._lib = library()
        self._abort = AbortFlag()
        self._log = _quiet(self._lib)
        self._model = self._load_model(load)
        self._vocab = self._lib.llama_model_get_vocab(self._model)
        self._ctx = self._make_context(load)
        self._memory = self._lib.llama_get_memory(self._ctx)
        self.vocabulary = int(self._lib.llama_vocab_n_tokens(self._vocab))
        self.context = int(self._lib.llama_n_ctx(self._ctx))
        self.held: list[int] = []
        self.evaluated = 0

    def _load_model(self, load: Load) -> Any:
        params = self._lib.llama_model_default_params()
        params.n_gpu_layers = load.gpu_layers
        model = self._lib.llama_model_load_from_file(os.fsencode(load.path), params)
        if not model:
            raise EngineError(f"llama.cpp cannot load {Path(load.path).name}: {self._log.last()}")
        return model

    def _make_context(self, load: Load) -> Any:
        params = self._lib.llama_context_default_params()
        params.n_ctx = load.context
        params.n_batch = params.n_ubatch = min(BATCH, load.context)
        params.n_seq_max = 1
        params.n_threads = params.n_threads_batch = load.threads
        params.no_perf = True
        # A C function does the asking, so that no Python code (and no interpreter lock) is in the inner loop.
        params.abort_callback = self._lib.ggml_abort_callback(self._abort.function)
        params.abort_callback_data = self._abort.address
        if hasattr(params, "n_outputs_max"):
            params.n_outputs_max = 1  # only the last token's logits are ever looked at
        self._params = params  # keeps the callback alive
        ctx = self._lib.llama_init_from_model(self._model, params)
        if not ctx:
            raise EngineError(f"llama.cpp cannot make room for {load.context} tokens: {self._log.last()}")
        return ctx

    def describe(self) -> dict[str, Any]:
        lib = self._lib
        template = lib.llama_model_chat_template(self._model, None)
        return {
            "description": self._description(),
            "context": self.context,
            "trained": int(lib.llama_model_n_ctx_train(self._model)),
            "vocabulary": self.vocabulary,
            "parameters": int(lib.llama_model_n_params(self._model)),
            "template": (template or b"").decode("utf-8", "replace"),
            "add_bos": bool(lib.llama_vocab_get_add_bos(self._vocab)),
            "rewinds": not (lib.llama_model_is_recurrent(self._model) or self._is_hybrid()),
        }

    def _description(self) -> str:
        buffer = ctypes.create_string_buffer(256)
        size = int(self._lib.llama_model_desc(self._model, buffer, 256))
        return buffer.raw[: min(max(size, 0), 255)].decode("utf-8", "replace")

    def _is_hybrid(self) -> bool:
        return bool(self._lib.llama_model_is_hybrid(self._model))

    def state_identity(self) -> dict[str, Any]:
        """Everything a saved memory depends on besides the model file and the tokens."""
        version = importlib.import_module("llama_cpp").__version__
        return {
            "library": f"llama-cpp-python {version}",
            "build": library_version(self._lib),
            "context": self.context,
            "type_k": int(self._params.type_k),
            "type_v": int(self._params.type_v),
            "flash_attention": int(getattr(self._params, "flash_attn_type", -2)),
        }

    # Tokens

    def tokenise(self, text: str, special: bool) -> list[int]:
        data = text.encode("utf-8", "replace")
        size = len(data) + 8
        buffer = (ctypes.c_int32 * size)()
        count = self._lib.llama_tokenize(self._vocab, data, len(data), buffer, size, False, special)
        if count < 0:
            raise EngineError("llama.cpp cannot tokenise the prompt")
        return list(buffer[:count])

    def bos(self) -> list[int]:
        token = int(self._lib.llama_vocab_bos(self._vocab))
        return [token] if token >= 0 and self._lib.llama_vocab_get_add_bos(self._vocab) else []

    def piece(self, token: int) -> bytes:
        buffer = ctypes.create_string_buffer(128)
        size = self._lib.llama_token_to_piece(self._vocab, token, buffer, 128, 0, False)
        if size < 0:
            buffer = ctypes.create_string_buffer(-size)
            size = self._lib.llama_token_to_piece(self._vocab, token, buffer, -size, 0, False)
        return buffer.raw[: max(size, 0)]

    def ends(self, token: int) -> bool:
        return bool(self._lib.llama_vocab_is_eog(self._vocab, token))

    def is_control(self, token: int) -> bool:
        return bool(self._lib.llama_vocab_is_control(self._vocab, token))

    # Evaluation

    def abort(self) -> None:
        """Safe from any thread; takes effect within one node of the graph."""
        self._abort.raise_()

    def ready(self) -> None:
        self._abort.lower()

    def rewind(self, keep: int) -> None:
        """Forget everything after the first `keep` tokens; models that cannot do so forget everything."""
        if keep >= len(self.held):
            return
        if keep and self._lib.llama_memory_seq_rm(self._memory, 0, keep, -1):
            del self.held[keep:]
            return
        self._lib.llama_memory_clear(self._memory, True)
        self.held.clear()

    def read(self, tokens: Sequence[int]) -> int:
        """Bring the memory to exactly these tokens, reusing what it holds; how many were evaluated anew."""
        if not tokens:
            raise EngineError("an empty prompt")
        if len(tokens) > self.context:
            raise EngineError(f"the prompt has {len(tokens)} tokens, the context holds {self.context}")
        shared = common_length(self.held, tokens)
        self.rewind(min(shared, len(tokens) - 1))
        fresh = tokens[len(self.held) :]
        self.extend(fresh)
        return len(fresh)

    def extend(self, tokens: Sequence[int]) -> None:
        """Read more tokens after those held."""
        for start in range(0, len(tokens), BATCH):
            self._decode(tokens[start : start + BATCH])

    def _decode(self, tokens: Sequence[int]) -> None:
        array = (ctypes.c_int32 * len(tokens))(*tokens)
        result = self._lib.llama_decode(self._ctx, self._lib.llama_batch_get_one(array, len(tokens)))
        if result == 0:
            self.held.extend(tokens)
            self.evaluated += len(tokens)
            return
        self._resynchronise(tokens)
        if result == 2:
            raise Aborted
        if result == 1:
            raise EngineError(f"the context of {self.context} tokens is full")
        raise EngineError(f"llama.cpp could not evaluate the prompt (code {result})")

    def _resynchronise(self, tokens: Sequence[int]) -> None:
        """After a failure part of the batch may be in the memory: cut back to whole tokens we know of."""
        before = len(self.held)
        self.held.extend(tokens)
        self.rewind(before)

    def logits(self) -> Any:
        """The last token's logits, as an array over the vocabulary that the next evaluation overwrites."""
        import numpy as np

        pointer = self._lib.llama_get_logits_ith(self._ctx, -1)
        if not pointer:
            raise EngineError("llama.cpp has no logits")
        return np.ctypeslib.as_array(pointer, shape=(self.vocabulary,))

    # The memory as bytes

    def save(self) -> bytes:
        size = int(self._lib.llama_state_seq_get_size(self._ctx, 0))
        buffer = (ctypes.c_uint8 * size)()
        written = int(self._lib.llama_state_seq_get_data(self._ctx, buffer, size, 0))
        if not 0 < written <= size:
            raise EngineError("llama.cpp could not copy its memory")
        return ctypes.string_at(buffer, written)

    def restore(self, data: bytes, tokens: Sequence[int]) -> bool:
        """Take over a saved memory; false (and an empty memory) if llama.cpp does not accept it."""
        self._lib.llama_memory_clear(self._memory, True)
        self.held.clear()
        buffer = (ctypes.c_uint8 * len(data)).from_buffer_copy(data)
        read = int(self._lib.llama_state_seq_set_data(self._ctx, buffer, len(data), 0))
        last = int(self._lib.llama_memory_seq_pos_max(self._memory, 0))
        if read != len(data) or last != len(tokens) - 1:
            self._lib.llama_memory_clear(self._memory, True)
            return False
        self.held = list(tokens)
        return True

    # Grammars

    def grammar(self, text: str) -> GrammarSampler:
        if not text.strip():
            raise EngineError("an empty grammar")
        sampler = self._lib.llama_sampler_init_grammar(self._vocab, text.encode(), b"root")
        if not sampler:
            raise EngineError("llama.cpp does not accept the grammar")
        return GrammarSampler(self._lib, sampler)

    def close(self) -> None:
        self._lib.llama_free(self._ctx)
        self._lib.llama_model_free(self._model)


class GrammarSampler:
    """llama.cpp's grammar, asked about candidates; what it rejects gets a logit of minus infinity."""

    def __init__(self, lib: Any, sampler: Any):
        self._lib = lib
        self._sampler = sampler

    def allowed(self, tokens: Any, logits: Any) -> Any:
        """The logits of the tokens, minus infinity where the grammar forbids them."""
        import numpy as np

        data = np.zeros(len(tokens), dtype=[("id", "i4"), ("logit", "f4"), ("p", "f4")])
        data["id"], data["logit"] = tokens, logits
        array = self._lib.llama_token_data_array(
            data=data.ctypes.data_as(self._lib.llama_token_data_p),
            size=len(tokens),
            selected=-1,
            sorted=False,
        )
        self._lib.llama_sampler_apply(self._sampler, ctypes.byref(array))
        return data["logit"]

    def allows(self, token: int) -> bool:
        return bool(self.allowed([token], [0.0])[0] > float("-inf"))

    def accept(self, token: int) -> None:
        self._lib.llama_sampler_accept(self._sampler, token)

    def close(self) -> None:
        if self._sampler:
            self._lib.llama_sampler_free(self._sampler)
            self._sampler = None


class AbortFlag:
    """A string that is empty until somebody aborts, and `strlen`, which says so to llama.cpp in C."""

    def __init__(self) -> None:
        self._flag = ctypes.create_string_buffer(64)
        strlen: Any = ctypes.CDLL(None).strlen
        self.function = ctypes.cast(strlen, ctypes.c_void_p).value
        self.address = ctypes.addressof(self._flag)

    def raise_(self) -> None:
        self._flag[0] = b"!"

    def lower(self) -> None:
        self._flag[0] = b"\0"

    @property
    def raised(self) -> bool:
        return self._flag.raw[0] != 0


class _Log:
    """Keeps llama.cpp's last error line and prints nothing."""

    def __init__(self, lib: Any):
        self._lines: list[str] = []
        self._callback = lib.llama_log_callback(self._take)
        lib.llama_log_set(self._callback, ctypes.c_void_p(0))

    def _take(self, level: int, text: bytes, _data: Any) -> None:
        if level == 4:  # GGML_LOG_LEVEL_ERROR
            self._lines = [*self._lines[-3:], text.decode("utf-8", "replace").strip()]

    def last(self) -> str:
        """The first of the last errors, without the name of the C function that wrote it."""
        lines = [re.sub(r"^\w+: ", "", line) for line in self._lines if line]
        return lines[0] if lines else "no reason given"


def _quiet(lib: Any) -> _Log:
    return _Log(lib)


def library() -> Any:
    """The binding's C functions."""
    try:
        lib = importlib.import_module("llama_cpp.llama_cpp")
        load_cpu_code()
    except (ImportError, OSError, RuntimeError) as error:
        raise EngineError("llama-cpp-python is not installed; pip install 'kubectl-ai-intellect[local]'") from error
    lib.llama_backend_init()
    return lib


def library_version(lib: Any) -> str:
    version = getattr(lib, "llama_version", None)
    return version().decode() if version is not None else "unknown"


def common_length(held: Sequence[int], wanted: Sequence[int]) -> int:
    for number, (one, other) in enumerate(zip(held, wanted, strict=False)):
        if one != other:
            return number
    return min(len(held), len(wanted))


__all__ = [
    "AbortFlag",
    "Aborted",
    "Engine",
    "EngineError",
    "GrammarSampler",
    "Load",
    "common_length",
    "library",
]
