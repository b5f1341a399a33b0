"""Shapes, their three readings (schema, GBNF, expression), and that these agree."""

from __future__ import annotations

import json
import random
from typing import Any

import jsonschema
import pytest

from kubectl_ai_intellect.gateway.grammar import Either, Fields, Flag, Grammar, Items, OneOf, Shape, Text, Whole
from kubectl_ai_intellect.gateway.llama import expression as ex
from kubectl_ai_intellect.gateway.llama.grammar import gbnf
from kubectl_ai_intellect.gateway.protocol import OutputInvalid

STEP = Grammar(
    "step",
    Either(
        (
            Fields((("probe", Whole(1, 12)), ("why", Text(40)))),
            Fields((("conclude", OneOf(("a/b", 'quo"te', "ünï"))), ("cites", Items(Whole(1, 9), 3, 1)))),
            Fields((("sure", Flag()), ("notes", Items(Text(5), 2)))),
        )
    ),
)


def random_shape(r: random.Random, depth: int = 0) -> Shape:
    kind = r.choice(["text", "one", "whole", "flag", "items", "fields"] if depth < 3 else ["text", "one", "flag"])
    if kind == "text":
        least = r.randint(0, 3)
        return Text(least + r.randint(0, 6), least)
    if kind == "one":
        return OneOf(tuple({"".join(r.choices('ab"\\é ', k=r.randint(1, 5))) for _ in range(r.randint(1, 4))}))
    if kind == "whole":
        low = r.randint(-5, 20)
        return Whole(low, low + r.randint(0, 30))
    if kind == "flag":
        return Flag()
    if kind == "items":
        least = r.randint(0, 2)
        return Items(random_shape(r, depth + 1), least + r.randint(0, 2), least)
    return Fields(tuple((f"k{n}", random_shape(r, depth + 1)) for n in range(r.randint(1, 3))))


def random_value(r: random.Random, shape: Shape) -> Any:
    match shape:
        case Text(most, least):
            return "".join(r.choices('ab{}"\\:,[] é✓', k=r.randint(least, most)))
        case OneOf(labels):
            return r.choice(labels)
        case Whole(low, high):
            return r.randint(low, high)
        case Flag():
            return r.random() < 0.5
        case Items(of, most, least):
            return [random_value(r, of) for _ in range(r.randint(least, most))]
        case Fields(of):
            return {name: random_value(r, part) for name, part in of}
        case Either(of):
            return random_value(r, r.choice(of))


def canonical(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


@pytest.mark.parametrize("seed", range(60))
def test_values_of_a_shape_pass_every_reading_and_mutants_agree(seed: int) -> None:
    r = random.Random(seed)
    shape = random_shape(r)
    grammar = Grammar("g", shape)
    expression = ex.of_shape(shape)
    for _ in range(10):
        value = random_value(r, shape)
        text = canonical(value)
        assert grammar.parse(text) == value
        jsonschema.validate(value, grammar.schema())
        assert ex.accepts(expression, text)
        at = r.randrange(len(text))
        mutant = text[:at] + r.choice(['"', "x", "", "}", "0", "\n"]) + text[at + 1 :]
        if ex.accepts(expression, mutant):
            grammar.parse(mutant)  # whatever the generator may write, the validator takes


@pytest.mark.parametrize("seed", range(30))
def test_forced_text_is_the_only_way_on_and_an_ending_ends(seed: int) -> None:
    r = random.Random(seed)
    shape = random_shape(r)
    expression: ex.Expression | None = ex.of_shape(shape)
    text = canonical(random_value(r, shape))
    position = 0
    while position < len(text):
        assert expression is not None
        forced, after = ex.forced(expression)
        assert text[position:].startswith(forced)
        assert ex.accepts(expression, ex.ending(expression).text)
        if forced:
            position, expression = position + len(forced), after
        else:
            expression, position = ex.after(expression, text[position]), position + 1
    assert expression is not None
    assert ex.can_end(expression)


def test_an_ending_says_when_it_would_decide() -> None:
    expression = ex.of_shape(STEP.shape)
    assert ex.ending(expression).decides
    open_text = ex.follow(expression, '{"probe":3,"why":"because')
    assert open_text is not None
    assert ex.ending(open_text) == ('"}', False)


def test_expressions_survive_the_pipe() -> None:
    expression = ex.of_shape(STEP.shape)
    assert ex.from_wire(json.loads(json.dumps(ex.to_wire(expression)))) == expression
    with pytest.raises(ValueError, match="not an expression"):
        ex.from_wire(["letters"])


def test_gbnf_is_one_bounded_rule() -> None:
    text = gbnf(STEP)
    assert text.startswith("root ::= ")
    assert "letter{0,40}" in text
    assert "*" not in text
    assert '\\"quo\\\\\\"te\\"' in text


@pytest.mark.parametrize(
    "bad",
    [
        Text(5000),
        Text(2, 3),
        OneOf(()),
        OneOf(("a", "a")),
        Whole(3, 2),
        Items(Flag(), 500),
        Items(Text(101), 20),
        Items(Items(Text(10), 20), 20),
        Fields(()),
        Either((Fields((("a", Flag()),)), Fields((("a", Text(3)),)))),
        Fields((("x", Items(Text(99999), 2)),)),
    ],
)
def test_unbounded_or_ambiguous_shapes_are_refused(bad: Shape) -> None:
    with pytest.raises(ValueError, match="not a bounded shape"):
        Grammar("bad", bad)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not JSON"),
        ("[]", "none of the keys"),
        ('{"probe":13,"why":""}', "number from 1 to 12"),
        ('{"sure":1,"notes":[]}', "true or false"),
        ('{"sure":true,"notes":["toolong"]}', "characters"),
        ('{"sure":true,"notes":[],"more":1}', "keys"),
        ('{"probe":true,"why":""}', "number from 1 to 12"),
    ],
)
def test_answers_that_do_not_fit_say_why(text: str, reason: str) -> None:
    with pytest.raises(OutputInvalid, match=reason):
        STEP.parse(text)


def test_spelling_is_forgiven() -> None:
    wrapped = 'Here you are:\n```json\n{ "sure": true,\n "notes": [] }\n```'
    assert STEP.parse(wrapped) == {"sure": True, "notes": []}
