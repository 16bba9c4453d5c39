"""Shifts of inputs that were planted, and none where nothing changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from drifting_rows import draw
from luthier.drift import Reference, build_reference, row_features
from luthier.watch.accuracy import Accuracy
from luthier.watch.advice import advise
from luthier.watch.shifts import Shift, class_shift, corrected, input_shifts
from tiny_model import make_tiny_tokenizer


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from luthier.text.tokenizer import Tokenizer

    folder: Path = tmp_path_factory.mktemp("tokenizer")
    make_tiny_tokenizer().save_pretrained(folder)
    return Tokenizer.from_folder(folder)


@pytest.fixture(scope="module")
def reference(tokenizer: Any) -> Reference:
    return build_reference(draw(600, seed=1000), tokenizer)


def found(reference: Reference, tokenizer: Any, rows: Any) -> list[Shift]:
    labels = class_shift("labels", "right answers", reference.answers or {}, [row.reference for row in rows])
    return corrected([*input_shifts(reference, row_features(rows, tokenizer)), labels])


def test_the_same_distribution_raises_few_alarms_at_any_size(tokenizer: Any) -> None:
    alarms = 0
    for seed in range(40):
        reference = build_reference(draw(300, seed=seed), tokenizer)
        rows = draw((30, 60, 200, 500)[seed % 4], seed=5000 + seed)
        alarms += advise(len(rows), found(reference, tokenizer, rows), None, 0)[0] != "keep"
    assert alarms <= 4  # 10 %; at most 5 % are expected


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({"words": (20, 60)}, {"length"}),
        ({"other": 0.5}, {"vocabulary", "embedding"}),
        ({"shares": (8, 1, 1)}, {"embedding", "labels"}),
    ],
)
@pytest.mark.parametrize("count", [100, 400])
def test_a_planted_shift_is_found_in_its_kind(
    reference: Reference, tokenizer: Any, changes: dict[str, Any], kinds: set[str], count: int
) -> None:
    for seed in range(5):
        shifts = found(reference, tokenizer, draw(count, seed=seed, **changes))
        assert kinds <= {shift.kind for shift in shifts if shift.size != "none"}
        advice, reasons = advise(count, shifts, None, 0)
        assert advice in ("look", "retrain") and any(kind in reason for kind in kinds for reason in reasons)


def test_a_class_that_was_never_seen_is_a_shift_of_its_own() -> None:
    from luthier.drift.features import text_hash

    known = {text_hash("billing"): 50, text_hash("login"): 50}
    shift = corrected([class_shift("answers", "given", known, ["billing"] * 60 + ["refund"] * 40)])[0]
    assert shift.size == "large" and (shift.reference, shift.new) == ("a class that is gone: 50.0%", "0.0%")


def shift(kind: Any, psi: float, p: float = 0.001) -> Shift:
    return Shift(kind, "x", "chi-square", psi, 0.01, p, "a", "b")


@pytest.mark.parametrize(
    ("psi", "p", "size"),
    [(0.05, 0.0, "none"), (0.12, 0.0, "moderate"), (0.3, 0.0, "large"), (0.3, 0.06, "none"), (0.105, 0.0, "none")],
)
def test_a_shift_needs_both_a_small_p_and_an_index_beyond_chance(psi: float, p: float, size: str) -> None:
    assert shift("length", psi, p).size == size


HELD = Accuracy(100, 90, (0.8, 0.95), 0.91, 200, -0.01, -0.08, 0.06)
FELL = Accuracy(100, 60, (0.5, 0.69), 0.91, 200, -0.31, -0.4, -0.2)
UNKNOWN = Accuracy(100, 60, (0.5, 0.69))


@pytest.mark.parametrize(
    ("rows", "shifts", "accuracy", "strange", "advice"),
    [
        (100, [], None, 0, "keep"),
        (100, [], HELD, 0, "keep"),
        (100, [], FELL, 0, "retrain"),
        (100, [shift("length", 0.5)], None, 0, "look"),
        (100, [shift("length", 0.5)], HELD, 0, "look"),
        (100, [shift("length", 0.5), shift("answers", 0.15)], None, 0, "retrain"),
        (100, [shift("length", 0.5), shift("answers", 0.15)], UNKNOWN, 0, "retrain"),
        (100, [shift("length", 0.5), shift("answers", 0.15)], HELD, 0, "look"),
        (100, [shift("length", 0.15), shift("answers", 0.15)], None, 0, "look"),
        (100, [shift("answers", 0.5)], None, 0, "look"),
        (29, [], None, 0, "look"),
        (100, [], None, 5, "keep"),
        (100, [], None, 6, "look"),
    ],
)
def test_the_advice_follows_its_rules(
    rows: int, shifts: list[Shift], accuracy: Accuracy | None, strange: int, advice: str
) -> None:
    found, reasons = advise(rows, shifts, accuracy, strange)
    assert found == advice and reasons
