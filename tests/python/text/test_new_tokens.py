"""Tokens added to a tokenizer: read whole in content, written back, saved for Transformers; others are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from chats import BRACKETS, CHATML, FAMILIES, Family, tokenizer
from hypothesis import given, settings
from hypothesis import strategies as st
from luthier.errors import InputError
from luthier.text.tokenizer import Tokenizer

NEW = ("<ticket>", "[[id]]", "two words")


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_new_tokens_follow_the_others_and_are_read_whole(family: Family) -> None:
    plain = tokenizer(family)
    tokens = plain.with_tokens(NEW)
    first = plain.vocabulary_size
    assert tokens.vocabulary_size == first + 3
    assert [tokens.added_tokens[text] for text in NEW] == [first, first + 1, first + 2]
    ids = tokens.encode_text("hello <ticket>[[id]]world two words")
    assert [id for id in ids if id >= first] == [first, first + 1, first + 2]
    assert tokens.decode([first, first + 1]) == "<ticket>[[id]]"
    assert tokens.control.ids == plain.control.ids
    assert tokens.end_ids == plain.end_ids
    assert plain.vocabulary_size == first, "the tokenizer itself stays as it is"
    assert plain.with_tokens(()) is plain


@pytest.mark.parametrize("listed", [False, True])
def test_transformers_reads_the_saved_tokens(tmp_path: Path, listed: bool) -> None:
    from transformers import AutoTokenizer

    tokenizer(CHATML).save(tmp_path / "plain")
    if listed:  # tokenizer_config.json lists the added tokens, as Transformers' own does
        AutoTokenizer.from_pretrained(tmp_path / "plain").save_pretrained(tmp_path / "plain")
        path = tmp_path / "plain" / "tokenizer_config.json"
        config = json.loads(path.read_text())
        added = json.loads((tmp_path / "plain" / "tokenizer.json").read_text())["added_tokens"]
        config["added_tokens_decoder"] = {str(token.pop("id")): token for token in added}
        path.write_text(json.dumps(config))
    tokens = Tokenizer.from_folder(tmp_path / "plain").with_tokens(NEW)
    tokens.save(tmp_path / "more")
    again, theirs = Tokenizer.from_folder(tmp_path / "more"), AutoTokenizer.from_pretrained(tmp_path / "more")
    text = "hello <ticket>[[id]]world two words, it's 2024"
    assert theirs(text, add_special_tokens=False)["input_ids"] == tokens.encode_text(text) == again.encode_text(text)
    assert len(theirs) == tokens.vocabulary_size == again.vocabulary_size
    assert again.with_tokens(("<more>",)).added_tokens["<more>"] == tokens.vocabulary_size


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([*NEW, "hello", " ", "\n", "<", "é", "日本", "<|im_end|>", "ticket>"]), max_size=12))
def test_text_comes_back_and_no_text_makes_control_tokens(parts: list[str]) -> None:
    tokens = tokenizer(CHATML).with_tokens(NEW)
    text = "".join(parts)
    ids = tokens.encode_text(text)
    assert tokens.decode(ids, skip_special=False) == text
    assert tokens.control.ids.isdisjoint(ids)


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ((" \t",), "needs a character that is not white space"),
        (("",), "needs a character that is not white space"),
        (("<a>", "<b>", "<a>"), "'<a>': is given twice"),
        (("h",), "'h': is a token of this model already"),
        (("<|im_end|>",), "is a token of this model already"),
        (("<|im_end|>!",), "a control token of this model"),
        (("x<|im",), "a control token of this model"),
        (("é",), "choose a spelling of plain letters|is a token of this model already"),
        (("caféteria",), "write it as 'caf.*teria'; choose a spelling of plain letters"),
        (("bad\ud800",), "is not valid text"),
    ],
)
def test_what_cannot_be_added_is_named(texts: tuple[str, ...], words: str) -> None:
    with pytest.raises(InputError, match=f"--add-token .*{words}|{words}"):
        tokenizer(CHATML).with_tokens(texts)


def test_control_tokens_of_other_families_are_kept_from_new_ones() -> None:
    with pytest.raises(InputError, match="a control token"):
        tokenizer(BRACKETS).with_tokens(("[INST] now",))


# No run of text begins with a space: there Transformers differs from sentencepiece where it puts one before each.
PIECES_TEXT = "hello <ticket>[[id]]world <ticket>two words, it's 2024\n\n  <ticket>"


@pytest.mark.parametrize("family", ["LLAMA", "LEGACY", "GEMMA", "UNIGRAM", "NORMALISED"])
def test_sentencepiece_models_take_them_too(family: str, tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece")
    import piece_models
    from luthier.export.gguf_keys import tokenizer_keys

    plain = Tokenizer.from_folder(piece_models.write_folder(getattr(piece_models, family), tmp_path / "plain"))
    tokens = plain.with_tokens(NEW)
    first = plain.vocabulary_size
    assert [tokens.added_tokens[text] for text in NEW] == [first, first + 1, first + 2]
    ids = tokens.encode_text(PIECES_TEXT)
    assert [id for id in ids if id >= first] == [first, first + 1, first, first + 2, first]
    assert tokens.decode([first, first + 1]) == "<ticket>[[id]]"
    assert tokens.control.ids == plain.control.ids
    tokens.save(tmp_path / "more")
    again = Tokenizer.from_folder(tmp_path / "more")
    assert again.encode_text(PIECES_TEXT) == ids
    assert again.vocabulary_size == first + 3
    # Those of GGUF files put the model's space before every run of text between tokens.
    keys = {key.name: key.value for key in tokenizer_keys(tokens, first + 3)}
    from_gguf = Tokenizer.from_gguf_metadata(keys)
    assert from_gguf.vocabulary_size == first + 3
    if family in ("LEGACY", "GEMMA"):
        assert from_gguf.encode_text(PIECES_TEXT) == ids
    more = from_gguf.with_tokens(("<more>",))
    assert more.encode_text(f"{PIECES_TEXT}<more>") == [*from_gguf.encode_text(PIECES_TEXT), first + 3]


@pytest.mark.parametrize("family", ["LLAMA", "LEGACY", "GEMMA"])
def test_transformers_reads_those_of_sentencepiece_models(family: str, tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece")
    import piece_models
    from transformers import AutoTokenizer

    folder = piece_models.write_folder(getattr(piece_models, family), tmp_path / "plain")
    tokens = Tokenizer.from_folder(folder).with_tokens(NEW)
    tokens.save(tmp_path / "more")
    theirs = AutoTokenizer.from_pretrained(tmp_path / "more")
    assert theirs(PIECES_TEXT, add_special_tokens=False)["input_ids"] == tokens.encode_text(PIECES_TEXT)
    assert len(theirs) == tokens.vocabulary_size


def test_tokens_that_stood_in_an_older_file_are_saved_too(tmp_path: Path) -> None:
    pytest.importorskip("sentencepiece")
    from piece_models import LLAMA, write_folder

    folder = write_folder(LLAMA, tmp_path / "plain")
    size = Tokenizer.from_folder(folder).vocabulary_size
    (folder / "added_tokens.json").write_text(json.dumps({"<extra>": size}))
    tokens = Tokenizer.from_folder(folder).with_tokens(("<ticket>",))
    tokens.save(tmp_path / "more")
    again = Tokenizer.from_folder(tmp_path / "more")
    assert again.added_tokens["<extra>"] == size and again.added_tokens["<ticket>"] == size + 1
