"""Sentencepiece models through the C++ core, compared with the sentencepiece package."""

from __future__ import annotations

import io
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

_core = pytest.importorskip("luthier._core", reason="the C++ core is not built")
sentencepiece = pytest.importorskip("sentencepiece")

SENTENCES = ["the quick brown fox", "jumps over the lazy dog", "déjà vu 日本語", "1 2 3 <s> </s>", "user: hello"] * 20


def trained(kind: str) -> bytes:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES),
        model_writer=model,
        vocab_size=330,
        model_type=kind,
        byte_fallback=True,
        hard_vocab_limit=False,
        character_coverage=0.98,
        user_defined_symbols=["<turn>"],
        pad_id=3,
        minloglevel=2,
    )
    return model.getvalue()


@pytest.fixture(scope="module", params=["unigram", "bpe"])
def both(request: pytest.FixtureRequest) -> tuple[Any, Any, bytes]:
    """The same model in Luthier and in the package."""
    content = trained(request.param)
    return (
        _core.SentencePieceModel.load(content, "tiny.model"),
        sentencepiece.SentencePieceProcessor(model_proto=content),
        content,
    )


@settings(max_examples=100, deadline=None)
@given(text=st.one_of(st.text(max_size=40), st.sampled_from([*SENTENCES[:5], "<turn> a <s> <pad>", "  two  spaces "])))
def test_ids_and_text_are_those_of_the_package(both: tuple[Any, Any, bytes], text: str) -> None:
    ours, theirs, _ = both
    ids = theirs.encode(text)
    assert ours.encode(text) == ids
    assert ours.decode(ids) == theirs.decode(ids)
    assert not {id for id in ids if ours.type(id) == _core.PieceType.CONTROL}


def test_pieces_are_those_of_the_package(both: tuple[Any, Any, bytes]) -> None:
    ours, theirs, _ = both
    assert len(ours) == theirs.get_piece_size()
    for id in range(len(ours)):
        assert ours.piece(id) == theirs.id_to_piece(id)
        assert ours.id(ours.piece(id)) == id
        assert ours.score(id) == theirs.get_score(id)
        assert (ours.type(id) == _core.PieceType.CONTROL) == theirs.is_control(id)
        assert (ours.type(id) == _core.PieceType.BYTE) == theirs.is_byte(id)
    assert (ours.unknown_id, ours.bos_id, ours.eos_id, ours.pad_id) == (0, 1, 2, 3)
    assert ours.id("no such piece") is None


def test_ids_outside_the_vocabulary_are_refused(both: tuple[Any, Any, bytes]) -> None:
    ours, _, _ = both
    for id in (-1, len(ours), 2**31 - 1):
        with pytest.raises(_core.InputError, match=r"tiny.model: there is no token"):
            ours.piece(id)
        with pytest.raises(_core.InputError):
            ours.decode([id])


def test_damaged_models_load_or_are_refused(both: tuple[Any, Any, bytes]) -> None:
    _, _, content = both
    random_ = random.Random(0)
    for _ in range(150):
        damaged = bytearray(content)
        for _ in range(random_.randint(1, 5)):
            damaged[random_.randrange(len(damaged))] = random_.randrange(256)
        if random_.random() < 0.3:
            del damaged[random_.randrange(len(damaged)) :]
        try:
            model = _core.SentencePieceModel.load(bytes(damaged), "damaged.model")
            model.decode(model.encode("the fox 日本 <s>"))
            assert all(isinstance(model.piece(id), str) for id in range(len(model)))
        except _core.InputError as error:
            assert "damaged.model" in str(error)
