"""The way to a model: one protocol, its providers, and the policy all of them obey."""

from __future__ import annotations

from kubectl_ai_intellect.gateway.grammar import Either, Fields, Flag, Grammar, Items, OneOf, Text, Whole
from kubectl_ai_intellect.gateway.opening import open_model
from kubectl_ai_intellect.gateway.protocol import (
    Choice,
    Completion,
    Identity,
    Model,
    ModelCancelled,
    ModelError,
    ModelGone,
    NotSent,
    OutputInvalid,
    Part,
    Prompt,
    Usage,
)

__all__ = [
    "Choice",
    "Completion",
    "Either",
    "Fields",
    "Flag",
    "Grammar",
    "Identity",
    "Items",
    "Model",
    "ModelCancelled",
    "ModelError",
    "ModelGone",
    "NotSent",
    "OneOf",
    "OutputInvalid",
    "Part",
    "Prompt",
    "Text",
    "Usage",
    "Whole",
    "open_model",
]
