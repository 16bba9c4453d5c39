"""Figures of free text and rules on its form."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from luthier.errors import InputError
from luthier.evaluation.rules import KINDS, Rule, RuleFigures, parse_rule, rule_figures
from luthier.evaluation.writing import TextFigures, chrf_scores, common_subsequence, rouge_l, text_figures


def slow_subsequence(a: str, b: str) -> int:
    row = [0] * (len(b) + 1)
    for x in a:
        before = row[:]
        for j, y in enumerate(b):
            row[j + 1] = before[j] + 1 if x == y else max(before[j + 1], row[j])
    return row[-1]


@given(st.text(alphabet="abc", max_size=80), st.text(alphabet="abc", max_size=80))
def test_the_longest_common_subsequence_is_that_of_the_table(a: str, b: str) -> None:
    assert common_subsequence(a, b) == slow_subsequence(a, b)


def test_rouge_l_by_hand() -> None:
    # Lin's example: "police killed the gunman" and "police kill the gunman" share three words in order.
    assert rouge_l("Police killed the gunman.", "police kill the gunman") == pytest.approx(2 * 3 / 8)
    assert rouge_l("the gunman", "gunman the") == pytest.approx(0.5)
    assert (rouge_l("", "word"), rouge_l("?", "!"), rouge_l("Öl", "öl")) == (0.0, 1.0, 1.0)


def test_chrf_is_that_of_sacrebleu() -> None:
    import sacrebleu

    a, b = ["the cat sat on the mat", "a dog"], ["the cat is on a mat", "a dog"]
    found = text_figures(a, b)
    assert found.chrf == pytest.approx(sacrebleu.corpus_chrf(b, [a]).score / 100)
    assert chrf_scores(a, b) == [pytest.approx(sacrebleu.sentence_chrf(b[0], [a[0]]).score / 100), 1.0]
    assert found.mean_chrf == pytest.approx(sum(chrf_scores(a, b)) / 2)
    assert (found.mean_characters, found.mean_reference_characters) == (12.0, 13.5)
    assert TextFigures.from_json(json.loads(json.dumps(found.to_json()))) == found


@given(st.lists(st.tuples(st.text(min_size=1, max_size=20), st.text(max_size=20)), min_size=1, max_size=5))
def test_all_figures_of_text_lie_between_0_and_1(pairs: list[tuple[str, str]]) -> None:
    found = text_figures([a for a, _ in pairs], [b for _, b in pairs])
    assert 0 <= found.chrf <= 1 + 1e-9 and 0 <= found.mean_chrf <= 1 + 1e-9 and 0 <= found.rouge_l <= 1


@pytest.mark.parametrize(
    ("rule", "kept", "broken"),
    [
        ("max_chars=3", "abc", "abcd"),
        ("min_chars=3", "abc", "ab"),
        ("no_newline", "a b", "a\nb"),
        ("regex=^[A-Z]", "Ab", "ab"),
        ("regex=a=b", "xa=b", "ab"),
        ("starts_with=Dear ", "Dear you", "dear you"),
        ("ends_with=.", "End.", "End"),
        ("forbid=sorry", "fine", "so sorry"),
    ],
)
def test_a_rule_is_kept_or_broken(rule: str, kept: str, broken: str) -> None:
    found = parse_rule(rule)
    assert (found.keeps(kept), found.keeps(broken)) == (True, False)
    assert str(found) == rule


def test_the_shares_of_rules() -> None:
    found = rule_figures([Rule("max_chars", "3"), Rule("no_newline")], ["abc", "abcd", "a\nb", "a\nbcd"])
    assert (found.all_kept, found.each) == (0.25, {"max_chars=3": 0.5, "no_newline": 0.5})
    assert RuleFigures.from_json(json.loads(json.dumps(found.to_json()))) == found


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonsense=1", "there is no rule 'nonsense'"),
        ("", "there is no rule ''"),
        ("max_chars", "needs a value, such as max_chars=80"),
        ("max_chars=-1", "needs a whole number"),
        ("max_chars=" + "9" * 30, "needs a whole number"),
        ("no_newline=1", "takes no value"),
        ("regex=[", "not a regular expression"),
        ("forbid=", "needs a value"),
    ],
)
def test_a_wrong_rule_is_an_error(text: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        parse_rule(text)


@given(st.sampled_from(KINDS), st.text(max_size=12), st.text(max_size=30))
def test_a_rule_is_refused_or_can_be_applied(kind: str, value: str, answer: str) -> None:
    try:
        rule = parse_rule(f"{kind}={value}")
    except InputError:
        return
    assert rule.keeps(answer) in (True, False)
