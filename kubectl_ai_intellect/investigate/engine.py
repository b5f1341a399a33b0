"""LangGraph, loaded without the clients of hosted services that it imports: three fifths of its loading time.

Call `load` before any import of langgraph; calling it again costs nothing.
"""

from __future__ import annotations

import importlib
import os
import threading

from kubectl_ai_intellect.deferred import deferring

UNUSED = ("langgraph_sdk", "pydantic.v1", "requests", "tenacity")
MODULES = ("langgraph.graph", "langgraph.types", "langgraph.checkpoint.serde.jsonplus", "langgraph.checkpoint.sqlite")

_lock = threading.Lock()
_loaded = False


def load() -> None:
    """Import what the loop needs of LangGraph."""
    global _loaded
    with _lock:
        if _loaded:
            return
        for name in ("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING"):
            os.environ[name] = "false"  # nothing phones home, whatever the user's shell says
        with deferring(*UNUSED, kept=["langsmith"]):
            for name in MODULES:
                importlib.import_module(name)
        _loaded = True


__all__ = ["load"]
