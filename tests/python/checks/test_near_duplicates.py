"""Near-duplicates: what is found beside an exhaustive comparison, and what is left alone."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from luthier.checks.minhash import SHINGLE
from luthier.checks.near_duplicates import near_duplicate_groups, near_duplicates, near_matches
from luthier.checks.normal import normalised


def jaccard(left: str, right: str) -> float:
    """The definition, with Python's own sets."""
    first, second = shingles(left), shingles(right)
    return len(first & second) / len(first | second)


def shingles(text: str) -> set[str]:
    text = normalised(text).ljust(SHINGLE, "\0")
    return {text[begin : begin + SHINGLE] for begin in range(len(text) - SHINGLE + 1)}


def vocabulary(generator: random.Random, size: int = 2000) -> list[str]:
    letters = "abcdefghijklmnopqrstuvwxyz"
    return ["".join(generator.choices(letters, k=generator.randint(2, 9))) for _ in range(size)]


def edited(generator: random.Random, text: str, words: list[str]) -> str:
    """The text with up to a tenth of its words changed, dropped or added."""
    result = text.split()
    for _ in range(generator.randint(1, max(1, len(result) // 10))):
        place = generator.randrange(len(result))
        kind = generator.random()
        if kind < 0.4:
            result[place] = generator.choice(words)
        elif kind < 0.7:
            result.insert(place, generator.choice(words))
        elif len(result) > 1:
            del result[place]
    return " ".join(result)


@pytest.mark.parametrize("length", [12, 40, 150])
def test_finds_95_percent_of_the_planted_pairs_of_jaccard_above_the_threshold_and_none_below(length: int) -> None:
    generator = random.Random(length)
    words = vocabulary(generator)
    texts = [" ".join(generator.choices(words, k=generator.randint(length // 2, length * 2))) for _ in range(1500)]
    planted = []
    for original in range(600):
        planted.append((original, len(texts)))
        texts.append(edited(generator, texts[original], words))
    similar = {pair for pair in planted if jaccard(texts[pair[0]], texts[pair[1]]) >= 0.8}
    assert len(similar) > 150
    found = {(match.other, match.index) for match in near_duplicates(texts)}
    assert len(found & similar) >= 0.95 * len(similar)
    assert all(jaccard(texts[low], texts[high]) >= 0.8 for low, high in found)

    matched = {(match.other, match.index + 1500) for match in near_matches(texts[1500:], texts[:1500])}
    assert len(matched & similar) >= 0.95 * len(similar)


def test_pairs_that_only_just_reach_the_threshold_are_found() -> None:
    generator = random.Random(5)
    words = vocabulary(generator)
    texts: list[str] = []
    while len(texts) < 800:
        text = " ".join(generator.choices(words, k=60))
        other = edited(generator, text, words)
        if 0.8 <= jaccard(text, other) < 0.84:
            texts += [text, other]
    found = {(match.other, match.index) for match in near_duplicates(texts)}
    assert sum((low, low + 1) in found for low in range(0, len(texts), 2)) >= 0.95 * 400


def test_groups_join_chains_and_copies_and_leave_single_texts_out() -> None:
    base = "please send the invoice for the order of last week to our office in the old town"
    near, further = base.replace("office", "offices"), base.replace("office", "offices").replace("week", "weeks")
    texts = [base, "an entirely different question", near, further, "  " + base.upper(), "tiny", "tiny", "else"]
    assert near_duplicate_groups(texts) == [[0, 2, 3, 4], [5, 6]]


def test_form_letters_cost_no_more_than_their_window() -> None:
    letter = "Dear support, my order number {} has not arrived yet; please look into it as soon as you can. " * 3
    texts = [letter.format(*[f"{index * 7919 % 100003:08d}"] * 3) for index in range(3000)]
    texts += [letter.format(*["12345678"] * 3) + "!"] * 2
    assert max(map(len, near_duplicate_groups(texts, 0.7)), default=0) > 2500


def test_texts_without_a_word_are_compared_too() -> None:
    assert near_duplicate_groups([]) == []
    assert near_duplicate_groups(["one"]) == []
    assert near_duplicate_groups(["", " ", "\t", "a"]) == [[0, 1, 2]]
    assert near_matches([], ["a"]) == [] and near_matches(["a"], []) == []


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(alphabet="abc 日本\ud800", max_size=30), max_size=12))
def test_every_pair_given_is_similar_and_equal_texts_are_always_joined(texts: list[str]) -> None:
    for match in near_duplicates(texts):
        assert match.other < match.index
        assert jaccard(texts[match.index], texts[match.other]) >= 0.8
        assert match.similarity == pytest.approx(jaccard(texts[match.index], texts[match.other]), abs=1e-6)
    groups = near_duplicate_groups(texts)
    place = {index: number for number, group in enumerate(groups) for index in group}
    for low, text in enumerate(texts):
        for high in range(low + 1, len(texts)):
            if normalised(text) == normalised(texts[high]):
                assert place[low] == place[high]
    matches = near_matches(texts, texts[::-1])
    assert {match.index for match in matches} == {match.other for match in matches} == set(range(len(texts)))
    assert all(jaccard(texts[match.index], texts[::-1][match.other]) >= 0.8 for match in matches)
