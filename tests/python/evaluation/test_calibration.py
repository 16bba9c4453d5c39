"""ECE by hand, and the probabilities of labels and answers against those from the model's logits."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from luthier.evaluation.calibration import Calibration, calibration
from luthier.evaluation.label_probabilities import label_calibration, label_probabilities
from luthier.evaluation.perplexity import answer_perplexity
from luthier.models import Model, load
from luthier.records import Message, Record
from tiny_model import make_tiny_model

LABELS = ["files", "file", "mail", "network", "net", "dates and the network"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return load(make_tiny_model(tmp_path_factory.mktemp("base") / "model"), dtype="float32")


def row(question: str, answer: str) -> Record:
    return Record((Message("user", question, 0.0), Message("assistant", answer)), file="t.jsonl", line=1)


def log_probability(model: Model, record: Record) -> tuple[float, int]:
    """Of the answer and its end token, and how many tokens that is, from the logits of the whole row."""
    encoded = model.encoder.encode_row(record)
    logs = torch.log_softmax(model.logits(encoded.tokens[:-1]), dim=-1)
    places = [index for index, weight in enumerate(encoded.weights) if weight]
    return sum(float(logs[index - 1, encoded.tokens[index]]) for index in places), len(places)


def test_the_error_of_calibration_by_hand() -> None:
    # Two bins of width 0.5: 0.3 and 0.5 (a border belongs below) with one right; 0.8 and 1.0 with both right.
    found = calibration([0.3, 0.5, 0.8, 1.0], [True, False, True, True], bins=2)
    assert found.ece == pytest.approx(0.5 * abs(0.5 - 0.4) + 0.5 * abs(1.0 - 0.9))
    assert [(item.rows, item.confidence, item.accuracy) for item in found.bins] == [
        (2, pytest.approx(0.4), 0.5),
        (2, pytest.approx(0.9), 1.0),
    ]
    assert (found.accuracy, found.rows) == (0.75, 4)
    assert Calibration.from_json(json.loads(json.dumps(found.to_json()))) == found


def test_a_model_that_knows_its_chances_has_little_error() -> None:
    generator = np.random.default_rng(0)
    confidences = generator.uniform(0.2, 1.0, 20_000)
    right = generator.random(20_000) < confidences
    assert calibration(confidences.tolist(), right.tolist()).ece < 0.02
    sure = calibration([0.99] * 1000, (generator.random(1000) < 0.6).tolist())
    assert sure.ece == pytest.approx(0.39, abs=0.05)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1))
def test_every_row_is_in_one_bin(rows: list[tuple[float, bool]]) -> None:
    found = calibration([a for a, _ in rows], [b for _, b in rows])
    assert sum(item.rows for item in found.bins) == len(rows)
    assert 0 <= found.ece <= 1
    for item in found.bins:
        assert item.low - 1e-9 <= item.confidence <= item.high + 1e-9


def test_label_probabilities_are_those_of_the_logits(model: Model) -> None:
    for question in ("read a file", "sort the mail", "2 + 2"):
        logs = [log_probability(model, row(question, label))[0] for label in LABELS]
        wanted = [math.exp(value - max(logs)) for value in logs]
        wanted = [value / sum(wanted) for value in wanted]
        found, other = label_probabilities(model, [row(question, "files"), row("another", "mail")], LABELS)
        assert found == pytest.approx(wanted, abs=1e-5)
        assert found is not None and other is not None
        assert sum(found) == pytest.approx(1.0) == sum(other)
        assert found != other


def test_the_perplexity_of_the_answers_is_that_of_the_logits_and_leaves_the_model_as_it_was(model: Model) -> None:
    rows = [
        row("read a file", "files"),
        replace(
            row("x", "y"),
            messages=(
                Message("user", "a"),
                Message("assistant", "not counted"),
                Message("user", "b"),
                Message("assistant", "counted", 3.0),
            ),
            weight=2.0,
        ),
    ]
    answers = model.generate(["read a file"], max_new_tokens=8)
    before = model.logits([5, 6, 7])
    last = replace(
        rows[1],
        weight=1.0,
        messages=(*(replace(m, weight=0.0) for m in rows[1].messages[:-1]), Message("assistant", "counted")),
    )
    wanted = [log_probability(model, record) for record in (rows[0], last)]
    heard: list[tuple[int, int]] = []
    found = answer_perplexity(model, rows, lambda done, total: heard.append((done, total)))
    assert found is not None
    assert found.tokens == sum(count for _, count in wanted)
    assert found.mean_nll == pytest.approx(-sum(value for value, _ in wanted) / found.tokens, rel=1e-4)
    assert found.perplexity == pytest.approx(math.exp(found.mean_nll))
    assert heard == [(2, 2)]
    assert torch.equal(model.logits([5, 6, 7]), before)
    assert model.generate(["read a file"], max_new_tokens=8) == answers
    assert model.adapter is None


def test_rows_whose_answer_does_not_fit_are_left_out(model: Model) -> None:
    long = row("word " * 400, "files")
    assert answer_perplexity(model, [long]) is None
    found = answer_perplexity(model, [long, row("read", "files")])
    assert found is not None and found.rows == 1


def test_the_calibration_of_a_model_is_that_of_its_label_probabilities(model: Model) -> None:
    rows = [row(f"read file {index}", LABELS[index % 3]) for index in range(20)]
    known = sorted(LABELS[:3])
    heard: list[tuple[int, int]] = []
    found = label_calibration(model, rows, 20, lambda done, total: heard.append((done, total)))
    by_row = [label_probabilities(model, [one], known)[0] for one in rows]
    values = [value for value in by_row if value is not None]
    right = [known[value.index(max(value))] == one.reference for value, one in zip(values, rows, strict=True)]
    assert found is not None
    assert found.ece == pytest.approx(calibration([max(value) for value in values], right).ece, abs=1e-5)
    assert found.rows == 20
    assert heard == [(16, 20), (20, 20)]
    some = label_calibration(model, rows, 4)
    assert some is not None and some.rows == 4


def test_rows_that_are_too_long_have_no_calibration(model: Model) -> None:
    long, short = row("word " * 400, "files"), row("read", "mail")
    assert label_probabilities(model, [long, short], ["files", "mail"])[0] is None
    found = label_calibration(model, [long, short], 2)
    assert found is not None and found.rows == 1
    assert label_calibration(model, [long], 1) is None
