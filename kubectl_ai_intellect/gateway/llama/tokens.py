"""Chat templates as data, and a prompt as pieces: our markers may be control tokens, everything else is text.

Cluster text that spells a control token stays text: only the template's own markers are tokenised as special.
The pieces up to the first question are the prefix: the same bytes for every question.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from kubectl_ai_intellect.gateway.protocol import Prompt, with_line_end


class Piece(NamedTuple):
    text: str
    special: bool = False


@dataclass(frozen=True, slots=True)
class Template:
    """How one family of models spells a conversation."""

    name: str
    begin: str
    system: tuple[str, str]
    user: tuple[str, str]
    assistant: tuple[str, str]
    stop: str
    prefill: str = ""  # what the model would otherwise write first, such as an empty train of thought


_CHATML_TURNS = {
    "begin": "",
    "system": ("<|im_start|>system\n", "<|im_end|>\n"),
    "user": ("<|im_start|>user\n", "<|im_end|>\n"),
    "assistant": ("<|im_start|>assistant\n", "<|im_end|>\n"),
    "stop": "<|im_end|>",
}

CHATML = Template("chatml", **_CHATML_TURNS)  # pyright: ignore[reportArgumentType]
QWEN3_THINKING = Template(
    "qwen3-thinking",
    prefill="<think>\n\n</think>\n\n",
    **_CHATML_TURNS,  # pyright: ignore[reportArgumentType]
)
LLAMA3 = Template(
    "llama3",
    "<|begin_of_text|>",
    ("<|start_header_id|>system<|end_header_id|>\n\n", "<|eot_id|>"),
    ("<|start_header_id|>user<|end_header_id|>\n\n", "<|eot_id|>"),
    ("<|start_header_id|>assistant<|end_header_id|>\n\n", "<|eot_id|>"),
    "<|eot_id|>",
)
PHI4 = Template(
    "phi4",
    "",
    ("<|system|>", "<|end|>"),
    ("<|user|>", "<|end|>"),
    ("<|assistant|>", "<|end|>"),
    "<|end|>",
)
GRANITE = Template(
    "granite",
    "",
    ("<|start_of_role|>system<|end_of_role|>", "<|end_of_text|>\n"),
    ("<|start_of_role|>user<|end_of_role|>", "<|end_of_text|>\n"),
    ("<|start_of_role|>assistant<|end_of_role|>", "<|end_of_text|>\n"),
    "<|end_of_text|>",
)
PLAIN = Template(
    "plain",
    "",
    ("", "\n"),
    ("### Question\n", "\n"),
    ("### Answer\n", "\n"),
    "",
)

TEMPLATES = {t.name: t for t in (CHATML, QWEN3_THINKING, LLAMA3, PHI4, GRANITE, PLAIN)}


def detect(chat_template: str) -> Template:
    """The family a model file's own chat template belongs to."""
    if "<|im_start|>" in chat_template:
        thinks = "enable_thinking" in chat_template and "<think>" in chat_template
        return QWEN3_THINKING if thinks else CHATML
    if "<|start_header_id|>" in chat_template:
        return LLAMA3
    if "<|start_of_role|>" in chat_template:
        return GRANITE
    if "<|end|>" in chat_template and ("<|user|>" in chat_template or "'<|' + message['role']" in chat_template):
        return PHI4
    return PLAIN


def prefix_pieces(template: Template, prefix: str) -> list[Piece]:
    """The pieces that never change: instructions, and the opening of the first question."""
    opening, closing = template.system
    pieces = [Piece(template.begin + opening, True), Piece(prefix), Piece(closing, True)]
    return [*pieces, Piece(template.user[0], True)]


def turn_pieces(template: Template, prompt: Prompt) -> list[Piece]:
    """Everything after the prefix, up to where the model is to speak."""
    pieces: list[Piece] = []
    for number, turn in enumerate(prompt.turns):
        opening, closing = template.user if turn.role == "user" else template.assistant
        if turn.role == "assistant":
            pieces.append(Piece(opening + template.prefill, True))
            pieces += [Piece(part.text) for part in turn.parts]  # just as the model wrote it
        else:
            if number:
                pieces.append(Piece(opening, True))
            pieces += [Piece(with_line_end(part.text)) for part in turn.parts]
        pieces.append(Piece(closing, True))
    pieces.append(Piece(template.assistant[0] + template.prefill, True))
    return pieces


__all__ = ["PLAIN", "TEMPLATES", "Piece", "Template", "detect", "prefix_pieces", "turn_pieces"]
