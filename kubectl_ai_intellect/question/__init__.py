"""Words → intent, target, time."""

from kubectl_ai_intellect.question.pasted import Pasted, read_pasted
from kubectl_ai_intellect.question.resolve import Resolution, maker_of, resolve
from kubectl_ai_intellect.question.words import Asked, Intent, understand

__all__ = ["Asked", "Intent", "Pasted", "Resolution", "maker_of", "read_pasted", "resolve", "understand"]
