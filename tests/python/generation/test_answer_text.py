"""Text that comes token by token: together the decoded tokens, whole characters, and nothing of a stop string."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from luthier.generation.answer_text import AnswerText

PIECES = [b"a", b"b", b"ab", b" the", b"\n", b"\xc3", b"\xa9", b"\xf0\x9f", b"\x99\x82", b"\xff", "é".encode(), b"bc"]


def decode(tokens: Sequence[int]) -> str:
    """As a byte-level decoder does."""
    return b"".join(PIECES[token] for token in tokens).decode("utf-8", errors="replace")


def pieces_of(tokens: Sequence[int], stop: Sequence[str] = ()) -> tuple[list[str], AnswerText]:
    """What is given at each token until a stop string, and at the end."""
    text = AnswerText(decode, stop)
    given = []
    for token in tokens:
        given.append(text.add(token))
        if text.stopped:
            break
    given.append(text.finish())
    return given, text


tokens_of_text = st.lists(st.integers(0, len(PIECES) - 1), max_size=30)
stops = st.lists(st.sampled_from(["a", "ab", "abc", "ba", "é", "🙂", "\n", "b the", "�", "aaab"]), max_size=3)


@given(tokens_of_text)
def test_the_pieces_together_are_the_decoded_tokens(tokens: list[int]) -> None:
    given, _ = pieces_of(tokens)
    assert "".join(given) == decode(tokens)


@given(tokens_of_text, stops)
def test_an_answer_ends_before_the_stop_string_that_is_complete_first(tokens: list[int], stop: list[str]) -> None:
    given, text = pieces_of(tokens, stop)
    whole = decode(tokens)
    together = "".join(given)
    assert whole.startswith(together)
    assert not any(one in together for one in stop)
    assert text.stopped == (together != whole)
    if text.stopped:
        assert any(whole.startswith(one, len(together)) for one in stop)
    else:
        assert not any(one in whole for one in stop)


@pytest.mark.parametrize(
    ("tokens", "stop", "given"),
    [
        ([0, 5, 6, 0], [], ["a", "", "é", "a", ""]),
        ([7, 8], [], ["", "🙂", ""]),
        ([0, 7], [], ["a", "", "�"]),
        ([9, 0], [], ["", "�a", ""]),
        ([0, 0, 11], ["abc"], ["", "a", "", ""]),
        ([0, 1, 0], ["abc"], ["", "", "ab", "a"]),
        ([2, 3], ["b t"], ["a", "", ""]),
        ([0], ["a"], ["", ""]),
    ],
)
def test_what_may_still_change_is_held_back(tokens: list[int], stop: list[str], given: list[str]) -> None:
    assert pieces_of(tokens, stop)[0] == given


def test_a_decoder_whose_text_depends_on_what_follows_is_followed() -> None:
    def joined(tokens: Sequence[int]) -> str:
        # Drops the space at the beginning, as decoders of sentencepiece models do.
        return "".join([" one", " two", " three"][token] for token in tokens).removeprefix(" ")

    text = AnswerText(joined)
    assert [text.add(token) for token in (0, 1, 2, 0)] == ["one", " two", " three", " one"]
    assert text.finish() == ""


def test_positions_are_those_of_the_text() -> None:
    text = AnswerText(decode, ["abc"])
    assert (text.length, text.given) == (0, 0)
    text.add(0)
    assert (text.length, text.given) == (1, 0)
    text.add(3)
    assert (text.length, text.given) == (5, 5)
