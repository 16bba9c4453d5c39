"""The ids of 10,000 strings: those of sentencepiece and of Transformers, from every kind of file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from luthier.models import locate
from luthier.models.load import load_tokenizer
from luthier.models.registry import find_known
from luthier.text.tokenizer import Tokenizer
from piece_models import (
    GEMMA,
    LEGACY,
    LLAMA,
    NORMALISED,
    PIECE_FAMILIES,
    PieceFamily,
    metadata_of,
    model_proto,
    write_folder,
)
from strings import strings

sentencepiece = pytest.importorskip("sentencepiece")


def ids(tokens: Tokenizer, texts: list[str], *, first: bool = True) -> list[list[int]]:
    return [piece[0] for piece in tokens.encode_pieces(texts, first=first)]


def assert_same(texts: list[str], ours: Sequence[object], theirs: Sequence[object]) -> None:
    """All at once would print all; this shows how many differ, and a short one of them."""
    different = [(text, a, b) for text, a, b in zip(texts, ours, theirs, strict=True) if a != b]
    assert not different, f"{len(different)} of {len(texts)} differ: {min(different, key=lambda item: len(item[0]))}"


def with_short_runs(texts: list[str]) -> list[str]:
    """The texts without what Transformers cuts otherwise in models with pieces of up to 31 spaces, as Gemma's.

    Sentencepiece takes the longest piece of spaces, or of ▁, which it holds for the same. Transformers merges pieces,
    which ends elsewhere where there are more than 31, and may know one sign from the other.
    """
    return [re.sub(" {32,}", " " * 31, re.sub("[ ▁]*▁[ ▁]*", "▁", text)) for text in texts]


@pytest.mark.parametrize("family", PIECE_FAMILIES, ids=lambda family: family.name)
def test_a_model_file_gives_the_ids_and_the_text_of_sentencepiece(family: PieceFamily, tmp_path: Path) -> None:
    tokens = Tokenizer.from_folder(write_folder(family, tmp_path))
    texts = strings(family.control)
    theirs = sentencepiece.SentencePieceProcessor(model_proto=model_proto(family).SerializeToString())
    wanted = theirs.encode(texts)
    ours = ids(tokens, texts)
    assert_same(texts, ours, wanted)
    assert {id for row in ours for id in row}.isdisjoint(tokens.control.ids - {tokens.unk_id})
    if family is not NORMALISED:
        decoded = [tokens.decode(row) for row in wanted]
        assert_same(texts, decoded, theirs.decode(wanted))
        assert_same(texts, decoded, [text.replace("▁", " ") for text in texts])


@pytest.mark.parametrize("family", PIECE_FAMILIES, ids=lambda family: family.name)
def test_text_behind_a_control_token_gets_the_space_that_the_configuration_says(
    family: PieceFamily, tmp_path: Path
) -> None:
    tokens = Tokenizer.from_folder(write_folder(family, tmp_path))
    texts = strings(family.control, 2000, seed=2)
    model = model_proto(family)
    model.normalizer_spec.add_dummy_prefix = family is LEGACY
    theirs = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
    assert_same(texts, ids(tokens, texts, first=False), theirs.encode(texts))


@pytest.mark.parametrize("family", [LLAMA, LEGACY, GEMMA], ids=lambda family: family.name)
def test_a_model_file_gives_the_ids_of_transformers(family: PieceFamily, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokens = Tokenizer.from_folder(write_folder(family, tmp_path))
    theirs = AutoTokenizer.from_pretrained(tmp_path, split_special_tokens=True)
    assert type(theirs).__name__ == family.config["tokenizer_class"]
    assert len(theirs) == tokens.vocabulary_size
    texts = strings(family.control)
    if family is GEMMA:
        texts = with_short_runs(texts)
    # Transformers takes a space that a text begins with for the one that Llama's models put before it; sentencepiece,
    # with which these models were trained, puts one before that one too.
    asked = [" " + text if family is not GEMMA and text[:1] in (" ", "▁") else text for text in texts]
    assert_same(texts, ids(tokens, texts), theirs(asked, add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize("family", PIECE_FAMILIES, ids=lambda family: family.name)
def test_a_gguf_file_gives_the_ids_of_the_model_that_it_was_made_from(family: PieceFamily, tmp_path: Path) -> None:
    tokens = Tokenizer.from_gguf_metadata(metadata_of(family))
    folder = Tokenizer.from_folder(write_folder(family, tmp_path))
    texts = strings(family.control)
    assert_same(texts, ids(tokens, texts), ids(folder, texts))
    assert (tokens.bos_id, tokens.eos_id, tokens.unk_id) == (folder.bos_id, folder.eos_id, folder.unk_id)
    assert set(family.control) <= set(tokens.control.by_text)
    assert tokens.adds_bos and folder.adds_bos


def test_pieces_of_spaces_with_the_lowest_score_are_merged_last(tmp_path: Path) -> None:
    """So they are in the models of Llama 2 and Mistral, where they have low ids nevertheless."""
    model = model_proto(LLAMA)
    spaces = [id for id, piece in enumerate(model.pieces) if set(piece.piece) == {"▁"} and len(piece.piece) > 1]
    for id in spaces:
        model.pieces[id].score = -1e9
    (write_folder(LLAMA, tmp_path) / "tokenizer.model").write_bytes(model.SerializeToString())
    scores = [piece.score for piece in model.pieces]
    texts = ["a  is", *strings(LLAMA.control, 2000, seed=3)]
    theirs = sentencepiece.SentencePieceProcessor(model_proto=model.SerializeToString())
    wanted = theirs.encode(texts)
    for tokens in (
        Tokenizer.from_folder(tmp_path),
        Tokenizer.from_gguf_metadata(metadata_of(LLAMA, **{"tokenizer.ggml.scores": scores})),
    ):
        assert [tokens.token(id) for id in tokens.encode_text("a  is")] == ["▁a", "▁", "▁is"]
        assert_same(texts, ids(tokens, texts), wanted)


def test_tokenizer_json_gives_the_ids_and_the_text_of_transformers(
    gguf_metadata: dict[str, Any], tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    Tokenizer.from_gguf_metadata(gguf_metadata).save(tmp_path)
    tokens = Tokenizer.from_folder(tmp_path)
    theirs = AutoTokenizer.from_pretrained(tmp_path, split_special_tokens=True)
    texts = strings(sorted(tokens.control.by_text))
    ours = ids(tokens, texts)
    assert_same(texts, ours, theirs(texts, add_special_tokens=False)["input_ids"])
    assert {id for row in ours for id in row}.isdisjoint(tokens.control.ids)
    decoded = [tokens.decode(row) for row in ours]
    assert_same(texts, decoded, theirs.batch_decode(ours))
    # SmolLM2's vocabulary lacks some bytes, and what lacks one of them has no ids.
    known = {
        character for text in texts for character in text if tokens.decode(tokens.encode_text(character)) == character
    }
    whole = [index for index, text in enumerate(texts) if known.issuperset(text)]
    assert len(whole) > 0.9 * len(texts)
    assert_same([texts[i] for i in whole], [decoded[i] for i in whole], [texts[i] for i in whole])


def test_gemma_3_gives_the_ids_of_transformers_from_the_same_gguf_file() -> None:
    from transformers import AutoTokenizer

    known = find_known("gemma-3-270m")
    assert known is not None
    if not known.fetched:
        pytest.skip("Gemma 3 is not in the cache; run: luthier fetch gemma-3-270m")
    tokens = load_tokenizer(locate(known.name))
    spelled = sorted(text for text in tokens.control.by_text if "unused" not in text)
    assert set(spelled) == {"<pad>", "<eos>", "<bos>", "<unk>", "<mask>", "<start_of_turn>", "<end_of_turn>"}
    plain = ["<start_of_image>", "<table>", "<strong>x</strong>", "<unused7>"]
    texts = with_short_runs([*strings([*spelled, *plain]), *("a" + sign * n for sign in "\n\t " for n in range(31))])
    theirs = AutoTokenizer.from_pretrained(known.path.parent, gguf_file=known.path.name)
    assert len(theirs) == tokens.vocabulary_size
    ours = ids(tokens, texts)
    assert_same(texts, ours, theirs(texts, add_special_tokens=False, split_special_tokens=True)["input_ids"])
    assert {id for row in ours for id in row}.isdisjoint(tokens.control.ids)
    assert_same(texts, [tokens.decode(row) for row in ours], [text.replace("▁", " ") for text in texts])
    assert tokens.adds_bos and theirs.bos_token_id == tokens.bos_id
    assert (theirs.eos_token_id, theirs.pad_token_id) == (tokens.eos_id, tokens.pad_id)
