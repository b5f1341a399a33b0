"""Words → intent, target, time."""

from kubectl_ai_intellect.question.resolve import Resolution, resolve
from kubectl_ai_intellect.question.words import Asked, Intent, understand

__all__ = ["Asked", "Intent", "Resolution", "resolve", "understand"]
