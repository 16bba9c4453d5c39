"""`luthier gate`: what lets a run through and what does not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from drifting_rows import WatchCase, draw, write_records
from fit_case import luthier
from luthier.errors import InputError
from luthier.records import Record
from luthier.training.run import Run
from luthier.watch import Gate, GateRow, gate_run
from luthier.watch.gate import one_sided_p

Install = Callable[[Callable[[str, Record], str]], None]


def rows(both: int = 0, new_only: int = 0, old_only: int = 0, neither: int = 0, must: bool = False) -> list[GateRow]:
    kinds = [(True, True)] * both + [(True, False)] * new_only + [(False, True)] * old_only + [(False, False)] * neither
    return [GateRow("s.jsonl", i + 1, must, "e", "n", "o", new, old) for i, (new, old) in enumerate(kinds)]


def gate(found: Sequence[GateRow], strict: bool = False) -> Gate:
    return Gate("b", "a", "s.jsonl", strict, tuple(found), one_sided_p(found))


@pytest.mark.parametrize(
    ("found", "strict", "passed"),
    [
        (rows(both=10), False, True),
        (rows(both=10, old_only=4), False, True),  # 4 of 4: p = 1/16
        (rows(both=10, old_only=5), False, False),  # 5 of 5: p = 1/32
        (rows(both=10, old_only=5, new_only=2), False, True),
        (rows(both=10, new_only=9), False, True),
        (rows(both=10, old_only=1, new_only=9), True, False),
        (rows(both=10, new_only=9), True, True),
        (rows(both=9, must=True) + rows(old_only=1), False, True),
        (rows(both=9) + rows(old_only=1, must=True), False, False),
        (rows(both=9) + rows(neither=1, must=True), False, False),
        (rows(neither=10), False, True),
    ],
)
def test_a_run_passes_or_not(found: list[GateRow], strict: bool, passed: bool) -> None:
    result = gate(found, strict)
    assert result.passed is passed and result.status == (0 if passed else 3) and bool(result.failures) is not passed
    assert json.loads(json.dumps(result.to_json()))["passed"] is passed


def test_p_is_that_of_the_exact_test() -> None:
    assert one_sided_p(rows(both=50, old_only=5)) == pytest.approx(1 / 32)
    assert one_sided_p(rows(old_only=7, new_only=3)) == pytest.approx(176 / 1024)
    assert one_sided_p(rows(both=5, neither=5)) == 1


def two_runs(watched: WatchCase, folder: Path) -> tuple[Run, Run]:
    for name in ("new", "old"):
        shutil.copytree(watched.run, folder / name)
    return Run(folder / "new"), Run(folder / "old")


def suite(path: Path, lines: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def row(answer: str, **extra: Any) -> dict[str, Any]:
    return {"prompt": f"please say {answer}", "completion": answer, **extra}


def test_rows_are_judged_by_text_json_or_their_own_rule(watched: WatchCase, tmp_path: Path, answering: Install) -> None:
    answers = {1: " red\n", 2: '{"b": 2, "a": 1.0}', 3: "We will refund you.", 4: "Red", 5: '{"a": 1}'}
    answering(lambda name, record: answers[record.line] if name == "new" else str(record.reference))
    path = suite(
        tmp_path / "golden.jsonl",
        [
            row("red"),
            row('{"a": 1, "b": 2}'),
            row("refund", check={"kind": "contains", "value": ["refund"]}, must=True),
            row("red"),
            row('{"a": true}', must=True),
        ],
    )
    found = gate_run(*two_runs(watched, tmp_path), path)
    assert [row.new_right for row in found.rows] == [True, True, True, False, False]
    assert [row.line for row in found.newly_wrong] == [4, 5] and [row.line for row in found.failed_musts] == [5]
    assert not found.passed and found.rows[3].where == f"{path}:4"


def test_the_suite_may_have_any_format(watched: WatchCase, tmp_path: Path, answering: Install) -> None:
    answering(lambda name, record: "red")
    path = tmp_path / "golden.rows"
    path.write_text("text,label\nplease say red,red\nplease say blue,blue\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"golden\.rows"):
        gate_run(*two_runs(watched, tmp_path), path)
    found = gate_run(Run(tmp_path / "new"), Run(tmp_path / "old"), path, format="csv")
    assert [row.new_right for row in found.rows] == [True, False]


def test_a_run_is_as_good_as_itself(watched: WatchCase, tmp_path: Path) -> None:
    path = write_records(tmp_path / "golden.jsonl", draw(12, seed=3))
    code, out, err = luthier(
        "gate", str(watched.run), "--suite", str(path), "--against", str(watched.run), "--strict", "--threads", "1"
    )
    assert code == 0 and out.startswith("PASSED"), err


def test_the_command_ends_with_3_where_a_row_that_must_be_right_is_wrong(watched: WatchCase, tmp_path: Path) -> None:
    path = suite(tmp_path / "golden.jsonl", [row("no tiny model says this", must=True), row("nor that")])
    arguments = ("gate", str(watched.run), "--suite", str(path), "--against", str(watched.run), "--threads", "1")
    code, out, _ = luthier(*arguments)
    assert code == 3 and out.startswith("WORSE") and f"{path}:1  must" in out
    code, out, _ = luthier(*arguments, "--json")
    assert code == 3 and json.loads(out)["failed_musts"][0]["line"] == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (row("a", must="perhaps"), "`must` is 'perhaps'"),
        (row("a", check={"kind": "guess", "value": 1}), "the check's kind"),
        ({"prompt": "no answer"}, "without `completion`"),
    ],
)
def test_a_wrong_suite_is_refused_with_its_line(
    watched: WatchCase, tmp_path: Path, line: dict[str, Any], message: str
) -> None:
    path = suite(tmp_path / "golden.jsonl", [line])
    with pytest.raises(InputError, match=message) as caught:
        gate_run(*two_runs(watched, tmp_path), path)
    assert f"{path}:1" in str(caught.value)


@pytest.mark.parametrize("missing", ["suite", "against"])
def test_what_is_missing_ends_with_2(watched: WatchCase, tmp_path: Path, missing: str) -> None:
    paths = {"suite": str(watched.train), "against": str(watched.run)} | {missing: str(tmp_path / "gone")}
    code, _, err = luthier("gate", str(watched.run), "--suite", paths["suite"], "--against", paths["against"])
    assert code == 2 and "gone" in err and "Traceback" not in err
