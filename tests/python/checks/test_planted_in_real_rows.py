"""How much is found of what is planted among real texts: the documentation of this Python, and real descriptions.

The texts have near-duplicates and conflicts of their own, so found is what names the planted rows. How flipped labels
are ranked in the same data is in test_confident_learning.
"""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path

import pytest
from luthier.checks import CheckReport, check
from luthier.checks.normal import normalised
from luthier.demo.sort import sort_rows
from planted import write

FOLDER = "shared/data/classify"
CLASSIFY = next((p / FOLDER for p in Path(__file__).resolve().parents if (p / FOLDER).is_dir()), Path(FOLDER))
SHINGLE = 5
Rows = list[dict]


@pytest.fixture(
    scope="module",
    params=[
        "demo",
        pytest.param(
            "classify",
            marks=pytest.mark.skipif(not CLASSIFY.is_dir(), reason="the data for development is not here"),
        ),
    ],
)
def rows(request: pytest.FixtureRequest) -> tuple[Rows, Rows]:
    """Training and test rows, of which no text stands in both and none stands twice."""
    if request.param == "demo":
        demo = sort_rows()
        random.Random(0).shuffle(demo)
        train, test = demo[500:], demo[:500]
    else:
        train, test = (read(CLASSIFY / name) for name in ("train.jsonl", "test.jsonl"))
    seen: set[str] = set()
    kept: tuple[Rows, Rows] = ([], [])
    for side, some in zip(kept, (train, test)):
        for row in some:
            text = normalised(question(row))
            if text not in seen:
                side.append(row)
                seen.add(text)
    assert len(kept[0]) > 900 and len(kept[1]) > 200
    return copy.deepcopy(kept)


def read(path: Path) -> Rows:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def question(row: dict) -> str:
    return str(row["messages"][-2]["content"])


def with_question(row: dict, text: str) -> dict:
    changed = copy.deepcopy(row)
    changed["messages"][-2]["content"] = text
    return changed


def edited(generator: random.Random, text: str) -> str:
    """One to four words changed, dropped or doubled."""
    words = text.split()
    for _ in range(generator.randint(1, 4)):
        place = generator.randrange(len(words))
        kind = generator.random()
        if kind < 0.5:
            words[place] = generator.choice(("surely", "maybe", "nearly", "often"))
        elif kind < 0.75 or len(words) == 1:
            words.insert(place, words[place])
        else:
            del words[place]
    return " ".join(words)


def jaccard(left: str, right: str) -> float:
    """Of the sets of 5-character shingles, by the definition."""
    first, second = (
        {text[begin : begin + SHINGLE] for begin in range(max(len(text) - SHINGLE, 0) + 1)}
        for text in (normalised(left), normalised(right))
    )
    return len(first & second) / len(first | second)


def near_copies(generator: random.Random, sources: Rows, count: int) -> Rows:
    """Edited copies with a similarity of 0.8 and more to their sources, and below 1."""
    copies: Rows = []
    for row in generator.sample(sources, len(sources)):
        text = edited(generator, question(row))
        if 0.8 <= jaccard(text, question(row)) < 1 and normalised(text) != normalised(question(row)):
            copies.append(with_question(row, text))
        if len(copies) == count:
            break
    assert len(copies) == count
    return copies


def checked(folder: Path, train: Rows, test: Rows, code: str) -> CheckReport:
    return check(write(folder / "train.jsonl", train), test=write(folder / "test.jsonl", test), only=[code])


def test_every_leaked_row_is_found_and_no_other(rows: tuple[Rows, Rows], tmp_path: Path) -> None:
    train, test = rows
    generator = random.Random(0)
    places = generator.sample(range(len(test)), 50)
    leaked = list(test)
    for place, source in zip(places, generator.sample(train, 50)):
        shape = generator.choice((str, str.upper, str.lower, lambda text: "  " + text.replace(" ", "  ") + "\n"))
        leaked[place] = with_question(source, shape(question(source)))
    finding = checked(tmp_path, train, leaked, "leakage")["leakage"]
    assert finding.severity == "error" and finding.count == 50
    assert {row.other.line - 1 for row in finding.rows if row.other} == set(places)
    assert checked(tmp_path, train, test, "leakage")["leakage"].severity == "fine"


def test_95_of_100_nearly_leaked_rows_are_found(rows: tuple[Rows, Rows], tmp_path: Path) -> None:
    train, test = rows
    planted = near_copies(random.Random(1), train, 100)
    finding = checked(tmp_path, train, [*test, *planted], "near-leakage")["near-leakage"]
    named = {row.other.line for row in finding.rows if row.other}
    assert len(named & set(range(len(test) + 1, len(test) + 101))) >= 95


def test_95_of_100_near_duplicates_are_found(rows: tuple[Rows, Rows], tmp_path: Path) -> None:
    train, test = rows
    planted = near_copies(random.Random(2), train, 100)
    finding = checked(tmp_path, [*train, *planted], test, "near-duplicate")["near-duplicate"]
    named = {place.line for row in finding.rows for place in (row.place, row.other) if place}
    assert len(named & set(range(len(train) + 1, len(train) + 101))) >= 95


def test_every_conflicting_label_is_found_and_no_other(rows: tuple[Rows, Rows], tmp_path: Path) -> None:
    train, test = rows
    generator = random.Random(3)
    labels = sorted({row["messages"][-1]["content"] for row in train})
    sources = generator.sample(range(len(train)), 60)
    planted = []
    for source in sources:
        row = with_question(train[source], question(train[source]).upper())
        row["messages"][-1]["content"] = generator.choice(
            [label for label in labels if label != train[source]["messages"][-1]["content"]]
        )
        planted.append(row)
    finding = checked(tmp_path, [*train, *planted], test, "conflict")["conflict"]
    expected = {source + 1 for source in sources} | set(range(len(train) + 1, len(train) + 61))
    assert {row.place.line for row in finding.rows} == expected and finding.count == 120
