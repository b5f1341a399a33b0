"""No model: the answer comes from evidence alone. Opening this provider gives None, not an object."""

from __future__ import annotations

HINT = "No model: answered from evidence alone. `kubectl intellect model pull` adds one."

__all__ = ["HINT"]
