"""The verdict on answers that were constrained: what they are compared with, and what is said of free ones."""

from __future__ import annotations

from dataclasses import replace

from luthier.evaluation import Evaluation, Interval
from luthier.generation import Labels
from luthier.verdict import Evidence, Forgot, LossRise, Rival, TestUse, judge_run

TUNED = Evaluation(
    n=200,
    exact_match=0.9,
    seconds=1.0,
    new_tokens=200,
    model="small",
    test="test.jsonl",
    max_new_tokens=8,
    task="classify",
    metric="accuracy",
    primary=Interval(0.9, 0.85, 0.94),
    constraint=Labels(("files", "mail")),
)


def rival(kind: str, name: str, difference: float, constraint: str | None = None) -> Rival:
    """A baseline, or the tuned model's free answers, with an interval of four points either way."""
    interval = Interval(difference, difference - 0.04, difference + 0.04)
    called = name if constraint is None else f"{name}, constrained to {constraint}"
    return Rival(called, kind, 0.9 - difference, interval, 0.3, constraint)


GOOD = Evidence(
    tuned=TUNED,
    rivals=(
        rival("classifier", "TF-IDF + logistic regression", 0.12),
        rival("prompt", "untuned, prompt alone", 0.55),
        rival("prompt", "untuned, prompt alone", 0.20, "labels"),
        rival("few_shot", "untuned, 4 similar examples", 0.25),
    ),
    leaked=0,
    nearly_leaked=0,
    train_rows=1000,
    forgot=Forgot((LossRise("general text", 2.0, 2.02, 0.01, 0.0, 0.02),)),
    test_use=TestUse(openings=1),
)


def test_better_than_every_baseline_free_and_constrained_is_fit_to_ship() -> None:
    assert judge_run(GOOD).outcome == "SHIP"


def test_a_constrained_prompt_that_is_as_good_is_enough_to_rethink() -> None:
    as_good = rival("few_shot", "untuned, 4 similar examples", 0.01, "labels")
    found = judge_run(replace(GOOD, rivals=(*GOOD.rivals, as_good)))
    assert found.outcome == "RETHINK"
    assert found.reasons[0].startswith(
        "prompting with 4 similar examples, answers constrained to labels, is within the noise: do not fine-tune"
    )


def test_free_answers_beside_the_constrained_ones_are_a_remark() -> None:
    found = judge_run(replace(GOOD, free=rival("tuned", "tuned", 0.05)))
    assert found.outcome == "SHIP"
    assert [str(reason) for reason in found.remarks] == [
        "judged by answers constrained to labels (accuracy 90.0%); with free ones it has 85.0%, difference +5.0 "
        "points, 95% interval +1.0 to +9.0"
    ]
    better = judge_run(replace(GOOD, free=rival("tuned", "tuned", -0.05)))
    assert "free answers are better: leave out --constrain" in str(better.remarks[0])
    assert judge_run(replace(GOOD, tuned=replace(TUNED, constraint=None))).remarks == ()
