"""What a Python user may write for a conversation."""

from __future__ import annotations

from pathlib import Path

import pytest
from luthier.errors import InputError
from luthier.models.conversations import is_batch, to_record, training_records
from luthier.records import Message, Record
from tiny_model import chat


def test_a_text_is_one_user_message() -> None:
    record = to_record("hello")
    assert [(message.role, message.content) for message in record.messages] == [("user", "hello")]


def test_messages_are_taken_as_they_are() -> None:
    record = to_record(chat("hi", system="be brief"))
    assert [message.role for message in record.messages] == ["system", "user"]


def test_one_conversation_is_told_from_many() -> None:
    assert not is_batch("text")
    assert not is_batch(chat("hi"))
    assert not is_batch(Record((Message("user", "hi"),)))
    assert is_batch(["a", "b"])
    assert is_batch([chat("a"), chat("b")])
    assert is_batch([])


def test_training_rows_come_from_a_file_records_or_lists(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}\n')
    from_file = training_records(path)
    assert from_file[0].reference == "b"
    assert training_records([chat("a", "b")])[0].reference == "b"
    assert training_records(chat("a", "b"))[0].reference == "b"
    assert training_records(from_file) == from_file


def test_a_row_that_cannot_be_used_is_named() -> None:
    with pytest.raises(InputError, match=r"row 1"):
        training_records([chat("a", "b"), chat("a")])
    with pytest.raises(InputError, match=r"row 0: .*tool"):
        to_record([{"role": "tool", "content": "x"}])
    with pytest.raises(InputError, match=r"row 0 is a text"):
        training_records(["text alone"])  # type: ignore[list-item]
