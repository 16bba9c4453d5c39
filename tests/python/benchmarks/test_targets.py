"""What is asked at which roof, and the arithmetic of the bench's other verdicts."""

from __future__ import annotations

from pathlib import Path

import pytest
from growth import off_line
from measurement import Comparison, Measured, Round
from results import Results
from targets import FULL_ROOF, TARGETS, Finding, Target, cells, summary

FASTER = Target("speed", 6.0, shrinks=True)
SHORTER = Target("launch", 0.25, at_most=True, shrinks=True)
SMALLER = Target("memory", 0.2, at_most=True)


@pytest.mark.parametrize(
    ("roof", "asked"), [(2e12, 6.0), (2.7e12, 6.0), (1e12, 3.0), (0.8e12, 2.4), (0.39e12, 2.4), (1.5e12, 4.5)]
)
def test_a_speed_shrinks_with_the_roof_to_no_less_than_two_fifths(roof: float, asked: float) -> None:
    assert FASTER.asked(roof) == pytest.approx(asked)
    assert FASTER.reached(asked * 1.001, roof)
    assert not FASTER.reached(asked * 0.999, roof)


def test_a_share_of_the_time_grows_as_the_speed_shrinks() -> None:
    assert SHORTER.asked(1e12) == pytest.approx(0.5)
    assert SHORTER.asked(0.1e12) == pytest.approx(0.625)
    assert SHORTER.reached(0.49, 1e12) and not SHORTER.reached(0.51, 1e12)


def test_memory_is_asked_for_at_every_roof() -> None:
    assert {SMALLER.asked(roof) for roof in (0.3e12, 1e12, 3e12)} == {0.2}
    assert SMALLER.reached(0.2, 0.3e12) and not SMALLER.reached(0.21, 0.3e12)


def test_only_speed_against_other_software_shrinks() -> None:
    shrinking = {key for key, target in TARGETS.items() if target.shrinks}
    assert shrinking == {
        "a.tokens_per_second",
        "a.compiled",
        "b.rows_per_second",
        "c.rows_per_second",
        "d.tokens_per_second",
        "e.prompts_per_second",
        "f.prompts_per_second",
        "launch.seconds",
    }


def test_the_columns_say_what_is_asked_and_whether_it_was_reached() -> None:
    found = [Finding("a.tokens_per_second", 2.5), Finding("a.roof_share", 0.62)]
    assert cells(found, "a.tokens_per_second", 0.7e12) == "at least 2.40x | yes"
    assert cells(found, "a.tokens_per_second", FULL_ROOF) == "at least 6.00x | no"
    assert cells(found, "a.roof_share", FULL_ROOF) == "at least 50.0 % | yes"
    assert cells(found, "a.rows_per_second", FULL_ROOF) == "|"
    assert "| at least 6.00x | at least 3.00x | 2.50x | no |" in summary(found, 1e12)


def test_values_on_a_line_are_not_off_it() -> None:
    assert off_line([(1, 3.0), (2, 5.0), (8, 17.0)]) == pytest.approx(0.0)
    assert off_line([(1, 1.0), (2, 2.0), (3, 3.0), (4, 16.0)]) > 0.2


def _measured(seconds: float, peak: int) -> Measured:
    return Measured([9.0, 9.0, seconds], [100] * 3, [1.0] * 3, [100] * 3, [10] * 3, peak, 1, 30.0)


def test_a_side_is_compared_within_the_rounds_that_it_took_part_in() -> None:
    ours, theirs = _measured(1.0, 10), _measured(4.0, 40)
    rounds = [
        Round({"best": 1.0}, {"luthier": ours, "trl": theirs}),
        Round({"best": 2.0}, {"luthier": _measured(2.0, 10), "trl": theirs, "compiled": _measured(6.0, 80)}),
    ]
    comparison = Comparison(rounds, None)
    assert comparison.ratio("trl", "tokens_per_second").median == pytest.approx(3.0)
    compiled = comparison.beside("compiled")
    assert compiled.ratio("compiled", "tokens_per_second").median == pytest.approx(3.0)
    assert compiled.ratio("compiled", "peak_bytes").median == pytest.approx(0.125)
    assert compiled.roof().median == 2.0


def test_an_unfinished_bench_keeps_the_results_of_the_last_whole_one(tmp_path: Path) -> None:
    whole = Results(tmp_path, "cpu")
    whole.save("first", {"part": 1})
    whole.finish()
    Results(tmp_path, "cpu").save("second", {})
    assert (tmp_path / "cpu.md").read_text() == "first"
    assert (tmp_path / "cpu.unfinished.md").read_text() == "second"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "cpu.json",
        "cpu.md",
        "cpu.unfinished.json",
        "cpu.unfinished.md",
    ]


def test_in_fp32_all_that_is_asked_of_speed_is_to_be_faster() -> None:
    assert FASTER.asked(None) == 1.0 and FASTER.reached(1.01, None) and not FASTER.reached(0.99, None)
    assert SHORTER.asked(None) == 1.0 and SHORTER.reached(0.9, None)
    assert SMALLER.asked(None) == 0.2
    assert "| figure | asked at 2 TFLOP/s | in fp32 |" in summary([Finding("a.tokens_per_second", 1.2)], None)
