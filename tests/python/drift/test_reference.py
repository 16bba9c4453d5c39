"""reference.npz: what is kept of the training rows, and what is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy
import pytest
from drifting_rows import TOPICS, draw
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from luthier.drift import Reference, build_reference, row_features, sample_records
from luthier.errors import InputError
from luthier.records import Message, Record


@pytest.fixture(scope="module")
def reference(tokenizer: Any) -> Reference:
    return build_reference(draw(300, seed=0), tokenizer)


def test_a_reference_survives_its_file(reference: Reference, tmp_path: Path) -> None:
    reference.save(tmp_path / "reference.npz")
    again = Reference.load(tmp_path / "reference.npz")
    assert (again.rows, again.answers, again.systems, again.longest_answer) == (
        reference.rows, reference.answers, reference.systems, reference.longest_answer,
    )  # fmt: skip
    for name in ("characters", "tokens", "answer_characters", "surprise", "unseen", "places"):
        assert numpy.array_equal(getattr(again, name), getattr(reference, name)), name
    assert again.vocabulary is not None and reference.vocabulary is not None
    for name in ("counts", "rows_with", "components"):
        assert numpy.array_equal(getattr(again.vocabulary, name), getattr(reference.vocabulary, name)), name


def test_the_file_is_the_same_each_time_and_small(reference: Reference, tmp_path: Path) -> None:
    for name in ("a", "b"):
        reference.save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").stat().st_size < 500_000


def test_no_text_of_the_rows_is_kept(reference: Reference, tmp_path: Path) -> None:
    reference.save(tmp_path / "reference.npz")
    with numpy.load(tmp_path / "reference.npz", allow_pickle=False) as file:
        content = b"".join(file[name].tobytes() for name in file.files) + str(file["facts"]).encode()
    for word in {"Name the topic", *TOPICS, *TOPICS["delivery"]}:
        assert word.encode() not in content and word.encode("utf-32-le") not in content, word


def test_classes_are_counted_and_other_answers_measured(reference: Reference, tokenizer: Any) -> None:
    assert reference.answers is not None and sorted(reference.answers.values()) == sorted(
        sum(row.reference == topic for row in draw(300, seed=0)) for topic in TOPICS
    )
    free = [Record((Message("user", f"say {i}", 0.0), Message("assistant", "x" * i))) for i in range(1, 60)]
    found = build_reference(free, tokenizer)
    assert found.answers is None and found.answer_characters.max() == 59


@pytest.mark.parametrize("count", [1, 2, 39])
def test_of_few_rows_the_words_are_not_learnt(tokenizer: Any, count: int) -> None:
    found = build_reference(draw(count, seed=0), tokenizer)
    assert found.vocabulary is None and found.surprise is None and len(found.tokens) == count


def test_repeated_rows_do_not_stand_in_both_halves(tokenizer: Any) -> None:
    assert build_reference(draw(20, seed=0) * 10, tokenizer).vocabulary is None


def test_rows_without_words_can_be_measured(tokenizer: Any) -> None:
    signs = [Record((Message("user", "?" * i, 0.0), Message("assistant", "!"))) for i in range(1, 61)]
    found = build_reference(signs, tokenizer)
    assert found.vocabulary is not None and found.vocabulary.components.shape[0] == 0
    assert found.vocabulary.places(row_features(signs, tokenizer).words).shape == (60, 1)


def test_many_rows_are_sampled_always_alike() -> None:
    rows = draw(5000, seed=0)
    sample = sample_records(rows)
    assert len(sample) == 4000 == len({row.line for row in sample}) and sample == sample_records(rows)


def test_a_missing_reference_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no reference to compare with"):
        Reference.load(tmp_path / "reference.npz")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_reference_is_refused(reference: Reference, tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "reference.npz"
    reference.save(path)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        Reference.load(path)
    except InputError as error:
        assert str(path) in str(error)
