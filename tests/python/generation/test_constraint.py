"""Answers constrained to labels or to a JSON Schema: nothing else comes out, and it is what the model prefers."""

from __future__ import annotations

import json
import math
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from luthier.errors import InputError
from luthier.generation import Labels, Schema, generate_file
from luthier.generation.constraint import constrained_name, constraint_from_json
from luthier.generation.label_tokens import answered, label_tokens
from luthier.generation.schema_grammar import start_of
from luthier.models import Model, load
from luthier.models.conversations import to_record
from luthier.text.encode import ChatEncoder
from tiny_model import TEMPLATE, TinyShape, chat, make_tiny_model
from tiny_pieces import make_tiny_piece_model

PROMPTS = ["read a file", "sort the mail", "2 + 2", "東京", "read a file"]
ANSWERS = ("files", "file", "mail", "東京 🙂", "files and mail")  # one begins another, and two end early
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "size": {"type": "integer", "minimum": 0, "maximum": 99},
        "kind": {"enum": ["file", "mail", None]},
        "names": {"type": "array", "items": {"type": "string", "maxLength": 3}, "maxItems": 2},
    },
    "required": ["size", "kind", "names"],
    "additionalProperties": False,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("base") / "model"
    return load(make_tiny_model(folder, TinyShape(layers=2, max_positions=1024)), dtype="float32")


def greedy_label(model: Model, prompt: str, labels: tuple[str, ...]) -> str:
    """The label that is reached by taking the more probable token at every fork, computed without a cache."""
    record = to_record(prompt)
    start = model.encoder.encode_prompt(record)
    sequences = label_tokens(model.encoder, record, labels)
    ends = sorted(model.encoder.end_ids)
    answer: list[int] = []
    while True:
        open_ones = [tokens for tokens in sequences if tokens[: len(answer)] == answer]
        allowed = {tokens[len(answer)] for tokens in open_ones if len(tokens) > len(answer)}
        allowed |= set(ends) if answer in open_ones else set()
        logits = model.logits([*start, *answer])[-1]
        token = max(sorted(allowed), key=lambda one: float(logits[one]))
        if token in ends:
            return labels[sequences.index(answer)]
        answer.append(token)


def test_every_answer_is_the_label_that_the_model_prefers_at_each_fork(model: Model) -> None:
    found = model.generate(PROMPTS, constraint=Labels(ANSWERS))
    assert found == [greedy_label(model, prompt, ANSWERS) for prompt in PROMPTS]
    assert model.generate(PROMPTS, max_new_tokens=6) != found
    assert model.generate("2 + 2", constraint=Labels(("mail",))) == "mail"


def test_drawn_labels_come_as_often_as_their_tokens_are_probable_among_the_allowed(model: Model) -> None:
    labels = ("file", "mail")
    first, second = (tokens[0] for tokens in label_tokens(model.encoder, to_record("2 + 2"), labels))
    assert first != second
    logits = model.logits(model.encoder.encode_prompt(to_record("2 + 2")))[-1]
    share = 1 / (1 + math.exp(float(logits[second] - logits[first])))
    draws = 800
    count = Counter(model.generate(["2 + 2"] * draws, temperature=1.0, seed=3, constraint=Labels(labels)))
    assert set(count) <= set(labels)
    assert abs(count["file"] - draws * share) <= 5 * math.sqrt(draws * share * (1 - share)) + 1


@pytest.mark.parametrize(
    "template",
    [
        pytest.param(TEMPLATE, id="a header that ends with a line break"),
        pytest.param(
            "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + '<|im_end|>' }}{% endfor %}"
            "{% if add_generation_prompt %}{{ 'assistant:' }}{% endif %}",
            id="a space before the answer",
        ),
    ],
)
def test_labels_have_the_tokens_that_a_row_has_behind_its_prompt(model: Model, template: str) -> None:
    encoder = ChatEncoder(model.tokenizer, template)
    record = to_record("read a file")
    prompt = encoder.encode_prompt(record)
    for row, tokens in zip(
        encoder.encode_rows(answered(record, ANSWERS)), label_tokens(encoder, record, ANSWERS), strict=True
    ):
        whole = [*prompt, *tokens]
        assert row.tokens[: len(whole)] == whole
        assert row.ends[len(whole)] and row.tokens[len(whole)] in encoder.end_ids


def test_a_start_of_the_answer_that_finished_turns_do_not_have_changes_no_label(model: Model) -> None:
    turns = "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' }}{% endfor %}"
    start = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n<think></think>' }}{% endif %}"
    plain = ChatEncoder(model.tokenizer, TEMPLATE)
    thinking = ChatEncoder(model.tokenizer, turns + start)
    record = to_record("read a file")
    assert label_tokens(thinking, record, ANSWERS) == label_tokens(plain, record, ANSWERS)


def test_a_label_that_would_merge_with_the_prompt_is_written_behind_it(model: Model) -> None:
    template = "{% for m in messages %}{{ m['content'] }}{% endfor %}"
    encoder = ChatEncoder(model.tokenizer, template)
    record = to_record("the fi")
    (tokens,) = label_tokens(encoder, record, ["le"])
    assert model.tokenizer.decode([*encoder.encode_prompt(record), *tokens]) == "the file"


def test_labels_that_do_not_fit_are_said(model: Model) -> None:
    long = "the quick brown fox jumps over the lazy dog"
    size = len(model.tokenizer.encode_text(long))
    with pytest.raises(InputError, match=rf"the label 'the quick.*' has {size} tokens, and an answer may have 4"):
        model.generate("read", max_new_tokens=4, constraint=Labels((long, "a")))
    assert model.generate("read", max_new_tokens=size, constraint=Labels((long,))) == long
    with pytest.raises(InputError, match="no labels to choose from"):
        model.generate("read", constraint=Labels(()))


def test_a_file_of_rows_is_answered_with_labels(model: Model, tmp_path: Path) -> None:
    source = tmp_path / "in.jsonl"
    source.write_text("".join(json.dumps({"messages": chat(prompt)}) + "\n" for prompt in PROMPTS), encoding="utf-8")
    generate_file(model, source, tmp_path / "out.jsonl", constraint=Labels(ANSWERS))
    lines = (tmp_path / "out.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["output"] for line in lines] == model.generate(PROMPTS, constraint=Labels(ANSWERS))


def test_constraints_are_plain_values_and_back() -> None:
    for constraint in (Labels(("a", "b")), Schema(SCHEMA), None):
        values = None if constraint is None else json.loads(json.dumps(constraint.to_json()))
        assert constraint_from_json(values) == constraint
    assert constrained_name("tuned", Labels(("a",))) == "tuned, constrained to labels"
    assert constrained_name("tuned", None) == "tuned"


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_json_keeps_its_schema_in_the_order_of_its_properties(model: Model, temperature: float) -> None:
    pytest.importorskip("llguidance")
    validator = jsonschema_rs.validator_for(SCHEMA)
    answers = model.generate(PROMPTS, max_new_tokens=500, temperature=temperature, constraint=Schema(SCHEMA))
    for answer in answers:
        value = json.loads(answer)
        assert validator.is_valid(value)
        assert list(value) == ["size", "kind", "names"]
    free = model.generate(PROMPTS, max_new_tokens=40, temperature=temperature)
    assert not any(answer.startswith("{") for answer in free)


@pytest.mark.parametrize("prefix", [True, False], ids=["a space before text", "none"])
def test_json_keeps_its_schema_where_the_tokenizer_is_a_sentencepiece_model(prefix: bool, tmp_path: Path) -> None:
    pytest.importorskip("llguidance")
    pytest.importorskip("sentencepiece")
    shape = TinyShape(layers=2, max_positions=1024)
    model = load(make_tiny_piece_model(tmp_path / "model", shape, prefix=prefix), dtype="float32")
    only = {
        "properties": {"a": {"const": "é 東京  x"}},
        "required": ["a"],
        "type": "object",
        "additionalProperties": False,
    }
    assert json.loads(str(model.generate("read", max_new_tokens=300, constraint=Schema(only)))) == {"a": "é 東京  x"}
    validator = jsonschema_rs.validator_for(SCHEMA)
    answers = model.generate(PROMPTS, max_new_tokens=700, temperature=1.0, constraint=Schema(SCHEMA))
    assert all(validator.is_valid(json.loads(answer)) for answer in answers)
    labels = model.generate(PROMPTS, max_new_tokens=40, constraint=Labels(ANSWERS))
    assert set(labels) <= set(ANSWERS)


def test_what_the_rows_hold_can_be_written_under_their_schema(model: Model) -> None:
    pytest.importorskip("llguidance")
    for written in ('{"a":"é"}', '{"a": "é 東京"}', '{\n  "a": "\\u00e9"\n}'):
        only = {"properties": {"a": {"const": json.loads(written)["a"]}}, "required": ["a"]}
        only |= {"type": "object", "additionalProperties": False}
        answer = model.generate("read", max_new_tokens=300, constraint=Schema(only))
        assert json.loads(str(answer)) == json.loads(written)
        text = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
        for leading in ("", " "):
            matcher = start_of(model, text, leading)
            assert matcher.consume_tokens(model.tokenizer.encode_text(leading + written)), matcher.get_error()
            assert matcher.is_accepting()


def test_a_schema_that_cannot_be_followed_is_said_before_anything_runs() -> None:
    pytest.importorskip("llguidance")
    for schema, words in (
        ({"not": {"type": "string"}}, "not"),
        ({"type": "nonsense"}, "nonsense"),
        ({"type": "string", "pattern": "(?=a)b"}, "regex"),
    ):
        with pytest.raises(InputError, match=rf"cannot be constrained to this JSON Schema: .*{words}"):
            Schema(schema).check()


def test_a_missing_package_is_said_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "llguidance", None)
    with pytest.raises(InputError, match=r"pip install 'luthier\[constrain\]'"):
        Schema(SCHEMA).check()
