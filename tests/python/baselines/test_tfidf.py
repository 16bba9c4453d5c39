"""The TF-IDF baseline on texts where the answer is in the words."""

from __future__ import annotations

import pytest
from luthier.baselines.tfidf import fit_tfidf
from luthier.errors import InputError

PROMPTS = ["open the file", "close the file", "send the mail", "read the mail", "the file path", "a mail folder"]
ANSWERS = ["files", "files", "mail", "mail", "files", "mail"]


def test_words_decide() -> None:
    classifier = fit_tfidf(PROMPTS, ANSWERS)
    assert classifier.predict(["delete the file", "write a mail"]) == ["files", "mail"]
    assert classifier.predict([]) == []
    assert repr(classifier) == "TfidfClassifier(answers=2)"


def test_the_same_rows_give_the_same_answers() -> None:
    texts = ["the folder", "a path", "mail"]
    assert fit_tfidf(PROMPTS, ANSWERS).predict(texts) == fit_tfidf(PROMPTS, ANSWERS).predict(texts)


def test_what_cannot_be_learned_is_an_error() -> None:
    with pytest.raises(InputError, match=r"two distinct answers"):
        fit_tfidf(["a text", "another"], ["x", "x"])
    with pytest.raises(InputError, match=r"two distinct answers"):
        fit_tfidf([], [])
    with pytest.raises(InputError, match=r"no prompt holds a word"):
        fit_tfidf(["?", "!"], ["x", "y"])
    with pytest.raises(ValueError, match=r"2 prompts but 1 answers"):
        fit_tfidf(["a", "b"], ["x"])
