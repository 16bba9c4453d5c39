"""Rows with tools through a whole model: gradients, answers, and what the answers are compared with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from luthier.errors import InputError
from luthier.evaluation import evaluate
from luthier.generation import generate_file
from luthier.models import load
from luthier.records import read
from tiny_model import TEMPLATE, TinyShape, make_tiny_model

TOOL_TEMPLATE = (
    "{% if tools %}<|im_start|>system\n{% for tool in tools %}{{ tool | tojson }}{% endfor %}<|im_end|>\n{% endif %}"
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content if m.content is string else '' }}"
    "{% for call in m.tool_calls or [] %}<tool>{{ call.function | tojson }}</tool>{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
TOOL = {"type": "function", "function": {"name": "look", "description": "Looks.", "parameters": {"type": "object"}}}


def row(place: str) -> dict[str, Any]:
    call = {"function": {"name": "look", "arguments": json.dumps({"place": place})}}
    return {
        "messages": [{"role": "user", "content": f"Look at {place}."}, {"role": "assistant", "tool_calls": [call]}],
        "tools": [TOOL],
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = make_tiny_model(tmp_path_factory.mktemp("tools") / "model", TinyShape(layers=2, max_positions=512))
    assert (path / "chat_template.jinja").read_text(encoding="utf-8") == TEMPLATE
    (path / "chat_template.jinja").write_text(TOOL_TEMPLATE, encoding="utf-8")
    return path


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row(place)) + "\n" for place in ("Oslo", "Rome")), encoding="utf-8")
    return path


def test_calls_are_evaluated_against_what_the_template_writes(folder: Path, rows: Path, tmp_path: Path) -> None:
    found = evaluate(load(folder, dtype="float32"), rows, out=tmp_path / "out")
    expected = [prediction.expected for prediction in found.predictions]
    assert expected[0] == '<tool>{"name": "look", "arguments": {"place": "Oslo"}}</tool>'
    assert found.n == 2 and (tmp_path / "out" / "predictions.jsonl").exists()


def test_tools_are_part_of_the_prompt(folder: Path, rows: Path) -> None:
    model = load(folder, dtype="float32")
    record = read(rows)[0]
    prompt = model.tokenizer.decode(model.encoder.encode_prompt(record), skip_special=False)
    assert prompt.startswith("<|im_start|>system\n" + json.dumps(TOOL)) and prompt.endswith("<|im_start|>assistant\n")


def test_rows_with_calls_are_answered_and_kept_as_they_are(folder: Path, rows: Path, tmp_path: Path) -> None:
    generate_file(load(folder, dtype="float32"), rows, tmp_path / "answers.jsonl", max_new_tokens=4)
    answers = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text("utf-8").splitlines()]
    assert [{key: value for key, value in one.items() if key != "output"} for one in answers] == [
        row("Oslo"),
        row("Rome"),
    ]
    assert all(isinstance(one["output"], str) for one in answers)


def test_calls_have_gradients(folder: Path, rows: Path) -> None:
    loss, gradients = load(folder, dtype="float32").loss_and_gradients(rows)
    assert loss > 0 and any(float(gradient.abs().max()) > 0 for gradient in gradients.values())


def test_the_hash_of_training_rows_depends_on_calls_and_tools(rows: Path, tmp_path: Path) -> None:
    from luthier.training.fit_data import rows_sha256

    def hashed(**changes: Any) -> str:
        path = tmp_path / "changed.jsonl"
        path.write_text(json.dumps({**row("Oslo"), **changes}) + "\n", encoding="utf-8")
        return rows_sha256(read(path))

    assert hashed() == hashed()
    assert len({hashed(), hashed(tools=[]), hashed(messages=row("Rome")["messages"])}) == 3


def test_a_model_that_writes_no_calls_says_so(tmp_path: Path, rows: Path) -> None:
    model = load(make_tiny_model(tmp_path / "plain", TinyShape(layers=1)), dtype="float32")
    with pytest.raises(InputError, match=r"rows.jsonl:1: .*does not write tool calls"):
        evaluate(model, rows)
