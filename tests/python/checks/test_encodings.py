"""The encoding of a file that is not UTF-8 is guessed from a sentence of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from luthier.checks.encodings import guess_encoding

SENTENCES = [
    ("cp1252", "Die Größe der Tür ist für uns nicht schön, das Café öffnet später"),
    ("cp1252", "Le café était déjà fermé à Noël, où êtes-vous allés après ?"),
    ("cp1252", "El niño comió ¿qué? mañana por la mañana, señor"),
    ("cp1252", "“It’s naïve”, she said – don’t"),
    ("cp1250", "Zażółć gęślą jaźń, proszę o pomoc w sprawie płatności"),
    ("cp1251", "Привет, как дела? Большое спасибо за помощь"),
    ("koi8_r", "Привет, как дела? Большое спасибо за помощь"),
    ("cp1253", "Καλημέρα σας, πού είναι η παραγγελία μου;"),
    ("cp1255", "שלום לכם, איפה ההזמנה שלי?"),
    ("shift_jis", "注文した商品がまだ届きません。いつ届きますか"),
    ("euc_jp", "注文した商品がまだ届きません。いつ届きますか"),
    ("gb18030", "我的订单还没有到，请帮我查一下什么时候可以到。"),
    ("euc_kr", "주문한 상품이 아직 오지 않았어요 언제 오나요"),
    ("big5", "我的訂單還沒有到，請幫我查一下什麼時候可以到。"),
]


@pytest.mark.parametrize(("encoding", "sentence"), SENTENCES)
def test_a_sentence_is_enough(encoding: str, sentence: str) -> None:
    sample = f'{{"prompt": "{sentence}"}}'.encode(encoding)
    assert guess_encoding(sample, sample) == encoding


def test_utf_8_is_no_guess() -> None:
    sample = "Größe 注文".encode()
    assert guess_encoding(sample, sample) is None


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_wide_encodings_are_told_by_their_marks_and_zeros(encoding: str) -> None:
    sample = '{"prompt": "hello"}\n'.encode(encoding)
    assert guess_encoding(sample, sample) == encoding


@given(st.binary(max_size=300))
def test_any_bytes_get_an_encoding_that_python_knows(sample: bytes) -> None:
    name = guess_encoding(sample, sample)
    assert name is None or sample.decode(name, "replace") is not None
