"""What a demo says in the end to somebody who has not followed the figures."""

from __future__ import annotations

from pathlib import Path

import pytest
from luthier.baselines.files import read_baselines
from luthier.demo.show import aligned, clipped, points, times, verdict_lines
from luthier.demo.summary import in_short
from luthier.evaluation import Interval
from luthier.verdict import Reason, Thresholds, Verdict, run_verdict
from run_folder import MadeRun, clean_check, forgetting, make_run, question

TRUTH = [question(index)[1] for index in range(1000, 1060)]


@pytest.fixture
def made(tmp_path: Path) -> MadeRun:
    found = make_run(tmp_path)
    found.write("check.json", clean_check(found))
    found.write("forgetting.json", forgetting())
    return found


def said(made: MadeRun, outputs: list[str], verdict: Verdict | None = None) -> str:
    tuned = made.evaluate(outputs)
    made.baselines(tuned)
    return in_short(tuned, read_baselines(made.folder), verdict or run_verdict(made.folder), 1234, 125.0)


def test_where_a_bag_of_words_is_as_good_it_says_to_use_that(made: MadeRun) -> None:
    text = said(made, TRUTH)
    assert text.startswith("A small language model was taught this task by 1,234 examples in 2:05 minutes")
    assert "Of 60 tasks that it had never seen it does 100% exactly right." in text
    assert "A bag of words (TF-IDF with logistic regression, a few lines of scikit-learn)" in text
    assert "does 100% of the same tasks exactly right: as good, as far as 60 tasks can tell." in text
    assert text.endswith("Do not fine-tune for this: use the bag of words.")


def test_where_a_bag_of_words_is_better_it_says_so(made: MadeRun) -> None:
    worse = [one if index % 3 else "files" for index, one in enumerate(TRUTH)]
    text = said(made, [*worse[:40], *["mail"] * 20])
    assert "does 100% of the same tasks exactly right, which is clearly more." in text


@pytest.mark.parametrize(
    ("outcome", "reason", "words"),
    [
        ("SHIP", Reason("better", "passed", "better than all"), "use the tuned model."),
        ("HOLD", Reason("forgetting", "hold", "it forgot"), "that is for you to decide."),
        ("HOLD", Reason("format", "hold", "no JSON"), "Do not use it yet: no JSON."),
    ],
)
def test_the_other_verdicts_say_what_to_do(made: MadeRun, outcome: str, reason: Reason, words: str) -> None:
    verdict = Verdict(outcome, (reason,), Thresholds())  # type: ignore[arg-type]
    text = said(made, TRUTH, verdict)
    assert "The best of the cheaper ways (TF-IDF + logistic regression) does 100%." in text
    assert text.endswith(words)


def test_of_the_verdict_that_is_listed_which_decided_it() -> None:
    looked_at = (
        Reason("as-good:classifier", "rethink", "a bag of words is as good", "use it " * 30),
        Reason("class-floor", "hold", "a class is weak"),
        Reason("rows", "passed", "60 test rows"),
        Reason("openings", "remark", "opened 2 times"),
    )
    lines = list(verdict_lines(Verdict("RETHINK", looked_at, Thresholds())))
    assert lines[0].startswith("- a bag of words is as good; use it")
    assert lines[1].startswith("  use it")
    assert lines[-1] == "  (1 more against it, 1 in order)"
    assert list(verdict_lines(Verdict("SHIP", looked_at[2:], Thresholds()))) == ["+ 60 test rows"]


def test_of_many_reasons_the_first_are_listed() -> None:
    many = tuple(Reason(f"r{index}", "hold", f"reason {index}") for index in range(12))
    lines = list(verdict_lines(Verdict("HOLD", many, Thresholds())))
    assert lines[0] == "- reason 0" and lines[-2] == "- reason 4"
    assert lines[-1] == "  (7 more against it, 0 in order)"


def test_figures_and_tables_are_plain() -> None:
    assert aligned([["name", "ms"], ["tuned", "12.5"]]) == ["name     ms", "tuned  12.5"]
    assert points(Interval(-0.012, -0.05, 0.031)) == "-1.2 [-5.0, +3.1]"
    assert times({"check": 3.2, "fit": 57.0}) == "1:00 in all: check 3 s, fit 57 s"
    assert clipped("a\n\x1b[31mb  c", 40) == "a \ufffd[31mb c"
    assert clipped("word " * 10, 12) == "word word..."
