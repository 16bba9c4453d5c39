"""Reading files of rows: every format, and every way in which a row or a file can be wrong."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from luthier.errors import InputError
from luthier.records import Message, Record, read

GOOD = {"messages": [{"role": "user", "content": "2 + 2"}, {"role": "assistant", "content": "4"}]}


def write(folder: Path, *rows: Any, name: str = "rows.jsonl") -> Path:
    """A file with one line per row: bytes as they are, anything else as JSON."""
    path = folder / name
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def reason(folder: Path, row: Any, **options: Any) -> str:
    """Why the row is refused."""
    with pytest.raises(InputError) as caught:
        read(write(folder, row), **options)
    assert ":1: " in str(caught.value), "the message names the line"
    return str(caught.value)


def chat(*roles: str) -> dict[str, Any]:
    return {"messages": [{"role": role, "content": f"from {role}"} for role in roles]}


def test_chat_rows_keep_their_messages_line_and_row(tmp_path: Path) -> None:
    row = {**GOOD, "id": 7}
    path = write(tmp_path, GOOD, b"", row)
    records = read(path)
    assert len(records) == 2
    second = records[1]
    assert second.messages == (Message("user", "2 + 2", 0.0), Message("assistant", "4", 1.0))
    assert (second.file, second.line, second.where) == (str(path), 3, f"{path}:3")
    assert second.extra == {"id": 7}
    assert second.raw == row
    assert records.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert records.bad == []


def test_records_are_a_sequence_and_print_their_first_rows(tmp_path: Path) -> None:
    records = read(write(tmp_path, *[GOOD] * 5))
    assert [record.line for record in records[1:3]] == [2, 3]
    assert "5 rows, 5 assistant turns" in repr(records)
    assert "2 + 2" in repr(records)
    assert "<table>" in records._repr_html_()


def test_html_of_records_escapes_their_text(tmp_path: Path) -> None:
    row = {"prompt": "<script>alert(1)</script>", "completion": "&"}
    shown = read(write(tmp_path, row))._repr_html_()
    assert "<script>" not in shown and "&lt;script&gt;" in shown


def test_prompt_and_completion_become_user_and_assistant(tmp_path: Path) -> None:
    row = {"system": "be brief", "prompt": "2 + 2", "completion": "4"}
    roles = [(message.role, message.content) for message in read(write(tmp_path, row))[0].messages]
    assert roles == [("system", "be brief"), ("user", "2 + 2"), ("assistant", "4")]


def test_prompt_and_completion_may_be_lists_of_messages(tmp_path: Path) -> None:
    row = {"prompt": GOOD["messages"][:1], "completion": GOOD["messages"][1:]}
    assert read(write(tmp_path, row))[0].messages == read(write(tmp_path, GOOD))[0].messages


def test_content_may_be_a_list_of_text_parts(tmp_path: Path) -> None:
    parts = [{"type": "text", "text": "2 "}, {"type": "text", "text": "+ 2"}]
    row = {"messages": [{"role": "user", "content": parts}, GOOD["messages"][1]]}
    assert read(write(tmp_path, row))[0].messages[0].content == "2 + 2"
    parts.append({"type": "image_url", "text": "x"})
    assert "only text" in reason(tmp_path, row)


def test_weights_of_messages_and_rows_are_kept(tmp_path: Path) -> None:
    row = json.loads(json.dumps(GOOD))
    row["messages"][1]["weight"] = 0
    row["weight"] = 0.5
    record = read(write(tmp_path, row))[0]
    assert record.messages[1].weight == 0.0
    assert record.weight == 0.5


@pytest.mark.parametrize("weight", [-1, True, "1", float("1e999"), 10**400])
def test_weights_must_be_finite_numbers_that_are_not_negative(tmp_path: Path, weight: Any) -> None:
    row = json.loads(json.dumps(GOOD))
    row["messages"][1]["weight"] = weight
    text = json.dumps(row).replace("Infinity", "1e999").encode()
    assert "messages[1].weight" in reason(tmp_path, text)


def test_only_assistant_messages_have_a_weight(tmp_path: Path) -> None:
    row = json.loads(json.dumps(GOOD))
    row["messages"][0]["weight"] = 1
    assert "only assistant messages" in reason(tmp_path, row)
    row["messages"][0]["weight"] = 0
    assert read(write(tmp_path, row))[0].messages[0].weight == 0.0


def test_system_file_comes_first_where_a_row_has_no_system_message(tmp_path: Path) -> None:
    system = tmp_path / "system.txt"
    system.write_text("be brief\n", encoding="utf-8")
    rows = read(write(tmp_path, GOOD, chat("system", "user", "assistant")), system=system)
    assert rows[0].messages[0] == Message("system", "be brief", 0.0)
    assert [message.content for message in rows[1].messages][:2] == ["from system", "from user"]
    system.write_text("\n", encoding="utf-8")
    with pytest.raises(InputError, match="system message is empty"):
        read(write(tmp_path, GOOD), system=system)


def test_generation_rows_tell_prompt_and_reference_apart(tmp_path: Path) -> None:
    rows = read(write(tmp_path, GOOD, chat("system", "user"), {"prompt": "2 + 2"}), purpose="prompt")
    assert rows[0].reference == "4"
    assert [message.role for message in rows[0].prompt] == ["user"]
    assert rows[1].reference is None and rows[1].prompt == rows[1].messages
    assert rows[2].prompt == (Message("user", "2 + 2", 0.0),)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (b"{", "not JSON"),
        (b'{"messages": NaN}', "NaN is not a JSON number"),
        (b'{"a": 1} {"b": 2}', "not JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"n": ' + b"1" * 5000 + b"}", ""),
        (b'{"prompt": "a\0b", "completion": "c"}', "NUL byte at byte 14"),
        (b'{"prompt": "a\\u0000b", "completion": "c"}', "NUL character"),
        (b'{"prompt": "caf\xe9", "completion": "c"}', "byte 0xe9 at byte 16"),
        (b'{"prompt": "\\ud83d", "completion": "c"}', "surrogate"),
        (["a"], "a list, not a JSON object"),
        ("text", "a string, not a JSON object"),
        ({}, "none"),
        ({"input": 1, "output": 2}, "`input`, `output`"),
        ({"messages": "hello"}, "a string, not a list"),
        ({"messages": []}, "`messages` is empty"),
        ({"messages": ["hello"]}, "messages[0] is a string"),
        ({"messages": [{"content": "hello"}]}, "messages[0] has no `role`"),
        ({"messages": [{"role": "user"}]}, "messages[0] has no `content`"),
        ({"messages": [{"role": "user", "content": None}]}, "null, not a string"),
        ({"messages": [{"role": "user", "content": 4}]}, "a number, not a string"),
        ({"messages": [{"role": "user", "content": " \n"}]}, "messages[0].content is empty"),
        ({"messages": [{"role": "User", "content": "hello"}]}, "'User'; known roles are"),
        ({"messages": [{"role": 4, "content": "hello"}]}, "the role a number"),
        ({"messages": [{"role": "tool", "content": "hello"}]}, "a tool answers an assistant message"),
        (chat("assistant"), "'assistant' where 'user' is due"),
        (chat("system"), "no user message"),
        (chat("user"), "no answer to learn"),
        (chat("system", "assistant"), "'assistant' where 'user' is due"),
        (chat("user", "user", "assistant"), "message 2 has the role 'user' where 'assistant' is due"),
        (chat("user", "assistant", "assistant"), "message 3"),
        (chat("user", "system", "assistant"), "which may only come first"),
        (chat("system", "developer", "user", "assistant"), "which may only come first"),
        (chat("user", "assistant", "user"), "no answer to learn"),
        ({"prompt": "hello"}, "without `completion`"),
        ({"prompt": "hello", "completion": ""}, "`completion` is empty"),
        ({"prompt": "", "completion": "c"}, "`prompt` is empty"),
        ({"prompt": 4, "completion": "c"}, "`prompt` is a number"),
        ({"prompt": chat("system", "user")["messages"], "system": "s", "completion": "c"}, "both `system` and"),
    ],
)
def test_bad_rows_are_refused_with_their_line_and_reason(tmp_path: Path, row: Any, words: str) -> None:
    assert words in reason(tmp_path, row)


def test_developer_may_stand_for_system(tmp_path: Path) -> None:
    assert read(write(tmp_path, chat("developer", "user", "assistant")))[0].messages[0].role == "developer"


def test_one_bad_row_in_a_hundred_is_left_out_and_listed(tmp_path: Path) -> None:
    path = write(tmp_path, *[GOOD] * 60, b"oops", *[GOOD] * 39)
    records = read(path)
    assert len(records) == 99
    assert [str(row) for row in records.bad] == [f"{path}:61: not JSON: Expecting value at character 1"]


def test_more_than_one_bad_row_in_a_hundred_stops_unless_told_to_skip(tmp_path: Path) -> None:
    path = write(tmp_path, *[GOOD] * 90, *[b"oops"] * 10)
    with pytest.raises(InputError) as caught:
        read(path)
    message = str(caught.value)
    assert "10 of 100 rows are bad (10.0%)" in message
    assert f"{path}:91: " in message and f"{path}:96: " not in message and "5 more" in message
    assert "--skip-bad" in message
    records = read(path, skip_bad=True)
    assert (len(records), len(records.bad)) == (90, 10)


def test_a_file_without_a_usable_row_stops_even_when_told_to_skip(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No usable row"):
        read(write(tmp_path, b"oops"), skip_bad=True)


def test_a_byte_order_mark_is_accepted(tmp_path: Path) -> None:
    line = b"\xef\xbb\xbf" + json.dumps(GOOD).encode()
    assert len(read(write(tmp_path, line, GOOD))) == 2


def test_windows_line_ends_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b"\r\n\r\n" + json.dumps(GOOD).encode())
    assert [record.line for record in read(path)] == [1, 3]


def test_a_line_of_fifty_megabytes_is_read(tmp_path: Path) -> None:
    row = {"prompt": "x" * 50_000_000, "completion": "y"}
    assert len(read(write(tmp_path, row, GOOD))[0].messages[0].content) == 50_000_000


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(content)
    with pytest.raises(InputError, match="holds no rows"):
        read(path)


def test_missing_files_and_folders_are_errors(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read(tmp_path / "absent.jsonl")
    with pytest.raises(InputError, match="is a folder"):
        read(tmp_path)
    with pytest.raises(InputError, match="no such file"):
        read(write(tmp_path, GOOD), system=tmp_path / "absent.txt")
    with pytest.raises(InputError):
        read("a\0b.jsonl")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_a_file_without_permission_is_an_error(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    path.chmod(0)
    with pytest.raises(InputError, match="no permission"):
        read(path)


def table(folder: Path, content: str | bytes, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_csv_columns_become_user_and_assistant(tmp_path: Path) -> None:
    record = read(table(tmp_path, "id,text,label\n7,a shell,shells\n"))[0]
    assert [(m.role, m.content) for m in record.messages] == [("user", "a shell"), ("assistant", "shells")]
    assert record.extra == {"id": "7"}
    assert record.raw == {"id": "7", "text": "a shell", "label": "shells"}


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_csv_delimiters_are_guessed_from_the_header(tmp_path: Path, delimiter: str) -> None:
    content = f'body{delimiter}kind\n"a, b; c"{delimiter}x\n'
    record = read(table(tmp_path, content), text="body", label="kind")[0]
    assert record.messages[0].content == "a, b; c"


def test_csv_lines_are_those_on_which_rows_start(tmp_path: Path) -> None:
    content = 'text,label\n"one\ntwo\n",a\n\nthree,b\n"""four"", five",c\n'
    records = read(table(tmp_path, content))
    assert [record.line for record in records] == [2, 6, 7]
    assert records[0].messages[0].content == "one\ntwo\n"
    assert records[2].messages[0].content == '"four", five'


def test_csv_without_the_named_column_names_those_present(tmp_path: Path) -> None:
    path = table(tmp_path, "body,label\na,b\n")
    with pytest.raises(InputError, match=r"no column 'text'; the columns are 'body', 'label'.*--text"):
        read(path)
    with pytest.raises(InputError, match="no column 'kind'"):
        read(path, text="body", label="kind")


def test_csv_prompts_need_no_label(tmp_path: Path) -> None:
    record = read(table(tmp_path, "text\nhello\n"), purpose="prompt")[0]
    assert record.reference is None
    record = read(table(tmp_path, "text,label\nhello,x\n"), purpose="prompt")[0]
    assert record.reference == "x"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (b"only one cell", "1 cells where the header has 2"),
        (b"a,b,c", "3 cells where the header has 2"),
        (b"hello,", "column `label` is empty"),
        (b",hello", "column `text` is empty"),
        (b"caf\xe9,b", "byte 0xe9 at byte 4 of column 'text'"),
        (b"a\0b,c", "NUL byte in column 'text'"),
        (b'"never closed,b', "not CSV"),
        (b'"a"b,c', "not CSV"),
    ],
)
def test_bad_csv_rows_are_refused_with_their_line_and_reason(tmp_path: Path, row: bytes, words: str) -> None:
    path = table(tmp_path, b"text,label\ngood,x\n" + row + b"\n")
    with pytest.raises(InputError) as caught:
        read(path)
    assert f"{path}:3: " in str(caught.value) and words in str(caught.value)


def test_rows_after_a_bad_csv_row_are_read(tmp_path: Path) -> None:
    path = table(tmp_path, 'text,label\n"a"b,c\ngood,x\n')
    records = read(path, skip_bad=True)
    assert [record.line for record in records] == [3]
    assert [row.line for row in records.bad] == [2]


def test_csv_accepts_a_byte_order_mark_and_refuses_a_column_twice(tmp_path: Path) -> None:
    assert len(read(table(tmp_path, b"\xef\xbb\xbftext,label\na,b\n"))) == 1
    with pytest.raises(InputError, match="stands twice"):
        read(table(tmp_path, "text,text,label\na,b,c\n"))


@given(st.lists(st.tuples(st.text(min_size=1), st.text(min_size=1)), min_size=1, max_size=8))
def test_csv_cells_come_back_as_they_were_written(cells: list[tuple[str, str]]) -> None:
    usable = [pair for pair in cells if all(cell.strip() and "\0" not in cell and cell.isprintable() for cell in pair)]
    if not usable:
        return
    out = io.StringIO()
    csv.writer(out).writerows([("text", "label"), *usable])
    with tempfile.TemporaryDirectory() as folder:
        path = table(Path(folder), out.getvalue())
        assert [(r.messages[0].content, r.messages[1].content) for r in read(path)] == usable


@given(st.lists(st.binary(max_size=60), max_size=6), st.sampled_from(["rows.jsonl", "rows.csv"]))
def test_any_bytes_are_read_or_refused(lines: list[bytes], name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = table(Path(folder), b"text,label\n" + b"\n".join(lines), name)
        try:
            records = read(path, skip_bad=True)
        except InputError:
            return
        assert all(isinstance(record, Record) and record.messages for record in records)
