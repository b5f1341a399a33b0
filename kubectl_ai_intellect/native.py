"""llama.cpp's machine code for the CPU we run on, where it was compiled for several.

Left to itself llama.cpp looks for that code beside the running program and then in the current directory, where
anybody may have put something; so it is loaded from beside the binding before anything else is called.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
from pathlib import Path
from typing import Any


def load_cpu_code() -> None:
    """Make llama.cpp ready to compute; RuntimeError where it has nothing for this CPU."""
    ggml = _ggml()
    if ggml.ggml_backend_reg_count():
        return  # compiled for one kind of CPU, or loaded already
    load: Any = ggml.ggml_backend_load_all_from_path
    load.argtypes = [ctypes.c_char_p]
    load.restype = None
    importlib.import_module("llama_cpp._logger").set_verbose(False)  # else it tells on stderr what it loads
    load(os.fsencode(library_directory()))
    if not ggml.ggml_backend_reg_count():
        raise RuntimeError(f"llama.cpp has no code for this CPU in {library_directory()}")


def _ggml() -> Any:
    """The library whose list of backends llama.cpp reads, found through llama.cpp itself.

    Where a file was copied for each of its names, opening one by its path would give a second library with a list
    of its own. Windows finds no function through another library, but has one file only.
    """
    if sys.platform == "win32":
        return importlib.import_module("llama_cpp._ggml").libggml
    return importlib.import_module("llama_cpp.llama_cpp")._lib


def library_directory() -> Path:
    """Where the binding keeps its shared libraries."""
    return Path(str(importlib.import_module("llama_cpp").__file__)).parent / "lib"


__all__ = ["library_directory", "load_cpu_code"]
