"""The verdict over hand-made evidence: which outcome, for which reason, and in which words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from luthier.errors import InputError
from luthier.evaluation import ClassFigures, Classification, Evaluation, Interval, JsonFigures
from luthier.evaluation.fields import FieldFigures
from luthier.evaluation.ratios import Ratios
from luthier.evaluation.rules import RuleFigures
from luthier.verdict import (
    CheckFinding,
    Evidence,
    Forgot,
    Losses,
    LossRise,
    Rival,
    TestUse,
    Thresholds,
    judge_run,
)
from luthier.verdict.thresholds import parse_thresholds
from luthier.verdict.worth import rows_needed, standing


def classes(other: int = 0, **figures: tuple[float, int]) -> Classification:
    """(recall and F1, rows) by class; `other` answers are no known label."""
    known = figures or {"files": (0.92, 100), "mail": (0.88, 100)}
    counts = [[0] * (len(known) + 1) for _ in known]
    counts[0][-1] = other
    per_class = {name: ClassFigures(share, share, share, rows) for name, (share, rows) in known.items()}
    return Classification(0.9, 0.9, 0.9, 0.9, per_class, list(known), counts)


def tuned(n: int = 200, task: str = "classify", metric: str = "accuracy", blocks: Any = None) -> Evaluation:
    """An evaluation with 90 % right."""
    return Evaluation(
        n=n,
        exact_match=0.9,
        seconds=1.0,
        new_tokens=n,
        model="small",
        test="test.jsonl",
        max_new_tokens=8,
        task=task,  # type: ignore[arg-type]
        metric=metric,
        primary=Interval(0.9, 0.85, 0.94),
        blocks=(classes(),) if blocks is None else blocks,
    )


def rival(kind: str, difference: float, low: float, high: float, name: str | None = None) -> Rival:
    """A baseline that the tuned model beats by `difference`."""
    return Rival(name or NAMES.get(kind, kind), kind, 0.9 - difference, Interval(difference, low, high), 0.3)


NAMES = {
    "constant": "most frequent answer",
    "classifier": "TF-IDF + logistic regression",
    "neighbour": "nearest training row",
    "prompt": "untuned, prompt alone",
    "few_shot": "untuned, 4 similar examples",
}
BEATEN = {
    "constant": rival("constant", 0.40, 0.33, 0.47),
    "classifier": rival("classifier", 0.12, 0.06, 0.18),
    "neighbour": rival("neighbour", 0.20, 0.13, 0.27),
    "prompt": rival("prompt", 0.55, 0.48, 0.62),
    "few_shot": rival("few_shot", 0.25, 0.18, 0.32),
}


def against(*others: Rival) -> tuple[Rival, ...]:
    """The beaten baselines, with some replaced or added."""
    return tuple(({**BEATEN, **{one.kind: one for one in others}}).values())


def forgot(change: float = 0.01, what: str = "general text") -> Forgot:
    """A rise of the loss."""
    return Forgot((LossRise(what, 2.0, 2.0 * (1 + change), change, change - 0.01, change + 0.01),), 0.4, 0.38)


GOOD = Evidence(
    tuned=tuned(),
    rivals=against(),
    leaked=0,
    nearly_leaked=0,
    train_rows=1000,
    forgot=forgot(),
    losses=Losses(train=0.20, valid=0.25, test=0.27, last_valid=0.26),
    test_use=TestUse(openings=1),
)
JSON = (
    JsonFigures(1.0, 0.99, 0.9),
    FieldFigures(Ratios(0.9, 0.9, 0.9, 400), None, {"name": Ratios(0.9, 0.9, 0.9, 200)}),
)
SUSPECTS = CheckFinding("suspect-label", "warning", 200, "labels that look wrong", "luthier check --only suspect-label")

CASES: dict[str, tuple[dict[str, Any], str, str]] = {
    # name: (what is changed in good evidence, outcome, code of the first reason)
    "nothing is wrong": ({}, "SHIP", "leakage"),
    "one test row leaked": ({"leaked": 1}, "HOLD", "leakage"),
    "leaked, and a bag of words is as good": (
        {"leaked": 40, "rivals": against(rival("classifier", 0.0, -0.03, 0.03))},
        "HOLD",
        "leakage",
    ),
    "leaked, so that the nearest row is as good": (
        {"leaked": 150, "rivals": against(rival("neighbour", -0.05, -0.08, -0.02))},
        "HOLD",
        "leakage",
    ),
    "leakage was not looked for": ({"leaked": None, "nearly_leaked": None}, "HOLD", "leakage"),
    "leakage was not looked for, and prompting is as good": (
        {"leaked": None, "rivals": against(rival("prompt", 0.01, -0.03, 0.05))},
        "RETHINK",
        "as-good:prompt",
    ),
    "two of 200 nearly leaked": ({"nearly_leaked": 2}, "SHIP", "leakage"),
    "many nearly leaked": ({"nearly_leaked": 20}, "HOLD", "near-leakage"),
    "many nearly leaked, and a bag of words is as good, perhaps by that": (
        {"nearly_leaked": 20, "rivals": against(rival("classifier", 0.0, -0.03, 0.03))},
        "HOLD",
        "near-leakage",
    ),
    "many nearly leaked, and a bag of words is better by more than that": (
        {"nearly_leaked": 20, "rivals": against(rival("classifier", -0.11, -0.17, -0.05))},
        "RETHINK",
        "as-good:classifier",
    ),
    "many nearly leaked, and prompting without examples is as good": (
        {"nearly_leaked": 20, "rivals": against(rival("prompt", 0.0, -0.03, 0.03))},
        "RETHINK",
        "as-good:prompt",
    ),
    "the test rows chose the checkpoint": (
        {"test_use": TestUse(1, None, "the validation rows")},
        "HOLD",
        "test-reused",
    ),
    "too few test rows": ({"tuned": tuned(n=20)}, "HOLD", "too-few-rows"),
    "too few test rows, and a baseline seems far better": (
        {"tuned": tuned(n=20), "rivals": against(rival("classifier", -0.3, -0.5, -0.1))},
        "HOLD",
        "too-few-rows",
    ),
    "few-shot within the noise": (
        {"rivals": against(rival("few_shot", 0.01, -0.03, 0.05))},
        "RETHINK",
        "as-good:few_shot",
    ),
    "few-shot equal on every row": (
        {"rivals": against(rival("few_shot", 0.0, 0.0, 0.0))},
        "RETHINK",
        "as-good:few_shot",
    ),
    "prompting is better": ({"rivals": against(rival("prompt", -0.06, -0.10, -0.02))}, "RETHINK", "as-good:prompt"),
    "a bag of words is better": (
        {"rivals": against(rival("classifier", -0.11, -0.17, -0.05))},
        "RETHINK",
        "as-good:classifier",
    ),
    "the nearest row is as good": (
        {"rivals": against(rival("neighbour", 0.02, -0.01, 0.05))},
        "RETHINK",
        "as-good:neighbour",
    ),
    "learned nothing": ({"rivals": against(rival("constant", 0.0, -0.02, 0.02))}, "RETHINK", "as-good:constant"),
    "another system is as good": (
        {"rivals": against(rival("predictions", 0.01, -0.02, 0.04, "hosted"))},
        "RETHINK",
        "as-good:predictions",
    ),
    "as good, and it forgot": (
        {"rivals": against(rival("classifier", 0.0, -0.03, 0.03)), "forgot": forgot(0.2)},
        "RETHINK",
        "as-good:classifier",
    ),
    "the test rows do not tell": ({"rivals": against(rival("classifier", 0.06, -0.01, 0.13))}, "HOLD", "undecided"),
    "undecided beside one, as good as another": (
        {"rivals": against(rival("classifier", 0.06, -0.01, 0.13), rival("few_shot", 0.0, -0.04, 0.04))},
        "RETHINK",
        "as-good:few_shot",
    ),
    "no baselines": ({"rivals": ()}, "HOLD", "no-baselines"),
    "no prompting among the baselines": (
        {"rivals": (BEATEN["constant"], BEATEN["classifier"], BEATEN["neighbour"])},
        "HOLD",
        "no-prompting",
    ),
    "a class fails": ({"tuned": tuned(blocks=(classes(files=(0.95, 180), mail=(0.2, 20)),))}, "HOLD", "class-floor"),
    "a class of four rows fails": (
        {"tuned": tuned(blocks=(classes(files=(0.95, 196), mail=(0.0, 4)),))},
        "SHIP",
        "leakage",
    ),
    "answers that are no label": ({"tuned": tuned(blocks=(classes(other=20),))}, "HOLD", "format"),
    "JSON is in order": ({"tuned": tuned(task="extract", metric="field_f1", blocks=JSON)}, "SHIP", "leakage"),
    "the schema is broken in 10 %": (
        {"tuned": tuned(task="extract", metric="field_f1", blocks=(JsonFigures(1.0, 0.9, 0.8), JSON[1]))},
        "HOLD",
        "format",
    ),
    "a field fails": (
        {
            "tuned": tuned(
                task="extract",
                blocks=(JSON[0], FieldFigures(Ratios(0.8, 0.8, 0.8, 400), None, {"date": Ratios(0.4, 0.4, 0.4, 200)})),
            )
        },
        "HOLD",
        "field-floor",
    ),
    "a rule is broken": (
        {"tuned": tuned(task="write", blocks=(RuleFigures(0.8, {"max_chars=80": 0.8}),))},
        "HOLD",
        "format",
    ),
    "it forgot": ({"forgot": forgot(0.05)}, "HOLD", "forgetting"),
    "it forgot the rows to keep": (
        {"forgot": Forgot((*forgot(0.0).rises, *forgot(0.08, "the rows to keep").rises))},
        "HOLD",
        "forgetting",
    ),
    "forgetting was not measured": ({"forgot": None}, "HOLD", "forgetting"),
    "overfitted, without validation rows": ({"losses": Losses(train=0.02, test=0.9)}, "HOLD", "overfitting"),
    "the test rows are unlike the validation rows": (
        {"losses": Losses(train=0.2, valid=0.2, test=0.8, last_valid=0.2)},
        "HOLD",
        "overfitting",
    ),
    "overfitted after the best checkpoint": (
        {"losses": Losses(train=0.05, valid=0.25, test=0.27, last_valid=0.6)},
        "SHIP",
        "leakage",
    ),
    "a fifth of the labels look wrong": ({"findings": (SUSPECTS,)}, "HOLD", "suspect-label"),
    "some labels look wrong": ({"findings": (replace(SUSPECTS, count=50),)}, "SHIP", "leakage"),
    "a key stands in the training rows": (
        {"findings": (CheckFinding("secret", "error", 2, "keys"),)},
        "HOLD",
        "secret",
    ),
    "warnings only": (
        {"findings": (CheckFinding("pii", "warning", 20), CheckFinding("conflict", "warning", 3))},
        "SHIP",
        "leakage",
    ),
    "the seeds differ more than the baselines": ({"seeds": (0.93, 0.90, 0.71)}, "HOLD", "seeds"),
    "the test labels are spelled otherwise": ({"misspelt": 40}, "HOLD", "test-labels"),
    "spelled otherwise, and a bag of words is as good": (
        {"misspelt": 200, "rivals": against(rival("classifier", 0.0, 0.0, 0.0))},
        "HOLD",
        "test-labels",
    ),
    "some test labels are spelled otherwise": ({"misspelt": 10}, "SHIP", "leakage"),
    "the seeds agree": ({"seeds": (0.93, 0.90, 0.89)}, "SHIP", "leakage"),
}


@pytest.mark.parametrize("name", CASES)
def test_the_verdict_on(name: str) -> None:
    changes, outcome, first = CASES[name]
    found = judge_run(replace(GOOD, **changes))
    assert found.outcome == outcome
    assert found.deciding[0].code == first
    assert found.status == {"SHIP": 0, "HOLD": 3, "RETHINK": 4}[outcome]
    assert found.reasons and all("\n" not in reason and reason for reason in found.reasons)


def test_a_manager_understands_why_not_to_fine_tune() -> None:
    found = judge_run(replace(GOOD, rivals=against(rival("few_shot", 0.01, -0.03, 0.05))))
    assert found.reasons == [
        "prompting with 4 similar examples is within the noise: do not fine-tune (accuracy 90.0% tuned, 89.0% there; "
        "difference +1.0 points, 95% interval -3.0 to +5.0)"
    ]
    found = judge_run(replace(GOOD, rivals=against(rival("classifier", -0.11, -0.17, -0.05))))
    assert found.reasons[0].startswith(
        "a bag of words (TF-IDF + logistic regression), which learns in seconds and answers in 0.3 ms a request, is "
        "better: use that, do not fine-tune"
    )


def test_a_hold_says_what_to_do_and_lists_everything_that_is_in_the_way() -> None:
    found = judge_run(replace(GOOD, leaked=3, forgot=forgot(0.06), tuned=tuned(blocks=(classes(other=30),))))
    assert [reason.code for reason in found.deciding] == ["leakage", "format", "forgetting"]
    assert "3 of 200 test rows stand in the training rows too" in found.reasons[0]
    assert "luthier clean TRAIN --test TEST --drop leakage" in found.reasons[0]
    assert "more than 3%" in found.reasons[2] and "--replay" in found.reasons[2]
    assert {"rows", "class-floor", "better", "overfitting"} == {reason.code for reason in found.passed}


def test_a_ship_says_what_was_passed() -> None:
    found = judge_run(GOOD)
    text = " ".join(found.reasons)
    for words in (
        "better than all 5 baselines; the closest, TF-IDF + logistic regression, by +12.0 points",
        "none of the 200 test rows stands among the training rows",
        "the weakest is 'mail' with F1 0.88",
        "changed by +1.0% (+0.0% to +2.0%), within 3%",
        "100.0% of the answers are one of the known labels",
    ):
        assert words in text


def test_remarks_decide_nothing_and_are_kept() -> None:
    found = judge_run(
        replace(
            GOOD, test_use=TestUse(7), nearly_leaked=1, skipped=(("nearest training row", "no prompt holds a word"),)
        )
    )
    assert found.outcome == "SHIP"
    assert {reason.code for reason in found.remarks} == {"openings", "near-leakage", "not-run"}
    assert "opened 7 times" in str(found.remarks[1]) + str(found.remarks[0])


def test_the_spread_of_the_seeds_is_worth_knowing_where_nothing_was_won() -> None:
    found = judge_run(replace(GOOD, seeds=(0.93, 0.88), rivals=against(rival("classifier", 0.0, -0.03, 0.03))))
    assert [str(reason) for reason in found.remarks] == ["over 2 seeds the accuracy reaches from 88.0% to 93.0%"]


def test_seeds_that_are_not_fitted_yet_are_named() -> None:
    found = judge_run(replace(GOOD, seeds=(0.93,), missing_seeds=(1, 2)))
    assert found.outcome == "SHIP" and "seeds" not in {reason.code for reason in found.passed}
    assert [str(reason) for reason in found.remarks] == [
        "runs with these seeds are not fitted yet: 1, 2; luthier fit --resume --out RUN, and evaluate again"
    ]


def test_thresholds_can_be_set_and_are_shown() -> None:
    assert judge_run(GOOD, Thresholds(class_recall=0.9)).outcome == "HOLD"
    assert judge_run(replace(GOOD, tuned=tuned(n=20)), parse_thresholds(["smallest-rows=10"])).outcome == "SHIP"
    assert judge_run(replace(GOOD, forgot=forgot(0.05)), Thresholds(forgetting=0.1)).outcome == "SHIP"
    values = judge_run(GOOD).to_json()
    assert values["verdict"] == "SHIP"
    assert values["thresholds"]["forgetting"] == 0.03
    assert [name for name, _, _ in Thresholds().rows()] == [name.replace("_", "-") for name in values["thresholds"]]


@pytest.mark.parametrize("given", ["recall=1", "class-recall", "class-recall=high", "class-recall=2", "forgetting=nan"])
def test_a_wrong_threshold_is_named(given: str) -> None:
    with pytest.raises(InputError) as error:
        parse_thresholds([given])
    assert "--threshold" in str(error.value)
    assert given.split("=")[0] in str(error.value)


def test_an_interval_decides_how_a_model_stands() -> None:
    assert standing(Interval(0.05, 0.001, 0.1), 0.1) == "better"
    assert standing(Interval(0.05, 0.0, 0.09), 0.1) == "as_good"
    assert standing(Interval(-0.2, -0.3, -0.1), 0.1) == "as_good"
    assert standing(Interval(0.05, -0.05, 0.15), 0.1) == "undecided"


def test_rows_that_would_tell_follow_the_root_law() -> None:
    # Half the width is 8 points, the difference 4: a quarter of the width needs four times the rows.
    assert rows_needed(100, Interval(0.04, -0.04, 0.12), 0.05) == 400
    # To rule out a gain of 10 points from a difference of 0 with 20 points on either side: four times as well.
    assert rows_needed(100, Interval(0.0, -0.2, 0.2), 0.1) == 400


@given(
    value=st.floats(-1, 1),
    below=st.floats(0, 1),
    above=st.floats(0, 1),
    rows=st.integers(1, 10_000),
    leaked=st.none() | st.integers(0, 10_000),
)
def test_whatever_the_figures_there_is_a_verdict_with_reasons(
    value: float, below: float, above: float, rows: int, leaked: int | None
) -> None:
    others = against(rival("classifier", value, value - below, value + above))
    found = judge_run(replace(GOOD, tuned=tuned(n=rows), rivals=others, leaked=leaked))
    assert found.reasons
    if found.outcome == "SHIP":
        assert rows >= 50 and leaked == 0 and value - below > 0


def test_names_with_line_breaks_stay_on_one_line() -> None:
    labels = classes(**{"a\nb": (0.1, 100), "c": (0.9, 100)})
    found = judge_run(
        replace(GOOD, tuned=tuned(blocks=(labels,)), rivals=against(rival("predictions", 0.0, 0.0, 0.0, "x\ny")))
    )
    assert all("\n" not in reason for reason in found.reasons)
    assert "SHIP" not in found._repr_html_() and "&#x27;x\ny&#x27;" not in found._repr_html_()
