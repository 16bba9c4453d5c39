"""Likely wrong labels: of 5 % flipped labels 70 % and more stand in the first tenth of the ranking."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from luthier.checks import check
from luthier.checks.confident_learning import suspect_labels
from luthier.demo.sort import sort_rows
from planted import letters, write

NAME = "shared/data/classify/train.jsonl"
CLASSIFY = next((p / NAME for p in Path(__file__).resolve().parents if (p / NAME).exists()), Path(NAME))


def flipped(rows: list[dict], seed: int) -> set[int]:
    """Gives 5 % of the rows another label that the data has; the numbers of those rows."""
    generator = random.Random(seed)
    labels = sorted({row["messages"][-1]["content"] for row in rows})
    chosen = generator.sample(range(len(rows)), len(rows) // 20)
    for index in chosen:
        answer = rows[index]["messages"][-1]
        answer["content"] = generator.choice([label for label in labels if label != answer["content"]])
    return set(chosen)


def found_in_first_tenth(rows: list[dict], wrong: set[int], path: Path) -> float:
    finding = check(write(path, rows), only=["suspect-label"])["suspect-label"]
    tenth = len(rows) // 10
    assert len(finding.rows) >= tenth
    assert finding.count == sum(row.counted for row in finding.rows)
    first = {row.place.line - 1 for row in finding.rows[:tenth]}
    return len(first & wrong) / len(wrong)


def test_flipped_labels_of_the_demo_are_ranked_first(tmp_path: Path) -> None:
    rows = sort_rows()
    random.Random(0).shuffle(rows)
    rows = rows[500:]
    wrong = flipped(rows, seed=1)
    assert found_in_first_tenth(rows, wrong, tmp_path / "a.jsonl") >= 0.7


@pytest.mark.skipif(not CLASSIFY.exists(), reason="the data for development is not here")
@pytest.mark.parametrize("seed", [0, 1])
def test_flipped_labels_of_real_descriptions_are_ranked_first(tmp_path: Path, seed: int) -> None:
    rows = [json.loads(line) for line in CLASSIFY.read_text(encoding="utf-8").splitlines()]
    wrong = flipped(rows, seed)
    assert found_in_first_tenth(rows, wrong, tmp_path / "a.jsonl") >= 0.7


def test_clean_labels_raise_no_finding_and_flipped_ones_are_in_the_confident_joint(tmp_path: Path) -> None:
    rows = letters(400)
    wrong = flipped(rows, seed=3)
    finding = check(write(tmp_path / "a.jsonl", rows))["suspect-label"]
    flagged = {row.place.line - 1 for row in finding.rows if row.counted}
    assert len(flagged & wrong) >= 0.9 * len(wrong) and len(flagged - wrong) <= 4
    beyond = [row for row in finding.rows if not row.counted]
    assert all("not flagged" in row.note for row in beyond)


def test_the_ranking_is_the_same_each_time() -> None:
    rows = letters(200)
    texts = [row["messages"][1]["content"] for row in rows]
    labels = [row["messages"][2]["content"] for row in rows]
    first, second = suspect_labels(texts, labels), suspect_labels(texts, labels)
    assert first is not None and second is not None and first.order.tolist() == second.order.tolist()


@pytest.mark.parametrize(
    ("texts", "labels"),
    [(["a b", "c d"], ["x", "y"]), (["...", "!!", "?", "-"], ["x", "x", "y", "y"]), (["a"] * 4, ["x"] * 4)],
)
def test_nothing_is_said_where_nothing_can_be_predicted(texts: list[str], labels: list[str]) -> None:
    assert suspect_labels(texts, labels) is None


def test_classes_of_one_row_do_no_harm() -> None:
    rows = letters(40)
    texts = [row["messages"][1]["content"] for row in rows]
    labels = [row["messages"][2]["content"] for row in rows]
    labels[0] = "alone"
    found = suspect_labels(texts, labels)
    assert found is not None and sorted(found.order.tolist()) == list(range(40))
