"""Labels and their spelling variants."""

from __future__ import annotations

import pytest
from luthier.checks.labels import spelling_key, variants


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Billing", "billing "),
        ("sign-up", "Sign up"),
        ("sign_up", "sign up."),
        ("Übergabe", "Ubergabe"),
        ("ＦＵＬＬ", "full"),
        ('"billing"', "billing"),
    ],
)
def test_these_are_one_label(left: str, right: str) -> None:
    assert spelling_key(left) == spelling_key(right)


@pytest.mark.parametrize(
    ("left", "right"), [("C", "C++"), ("C", "C#"), ("1", "2"), ("+", "-"), ("a", "b"), ("R&D", "RD")]
)
def test_these_are_two(left: str, right: str) -> None:
    assert spelling_key(left) != spelling_key(right)


def test_the_most_frequent_spelling_is_the_label() -> None:
    labels = ["Billing"] * 5 + ["billing"] * 3 + ["billing "] + ["returns"] * 9
    assert variants(labels) == {"billing": "Billing", "billing ": "Billing"}


def test_a_rare_label_one_letter_away_is_a_misspelling_and_a_frequent_one_is_not() -> None:
    assert variants(["returns"] * 60 + ["retuns"] + ["retrurns", "returnd"] + ["retrun"]) == {
        "retuns": "returns",
        "retrurns": "returns",
        "returnd": "returns",
    }
    assert variants(["network"] * 60 + ["networks"] * 20) == {}
    assert variants(["class 1"] * 60 + ["class 2"]) == {}
