"""Each fault that is planted into clean rows is found, by its code, with its rows; and clean rows give none."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from luthier.checks import CheckReport, check
from luthier.checks.registry import CODES
from planted import LABELS, SYSTEM, chat, letter, letters, write

Rows = list[dict[str, Any]]


def lines(report: CheckReport, code: str) -> list[int]:
    return sorted({row.place.line for row in report[code].rows})


def test_clean_rows_are_fine_in_every_check(clean_file: Path, tmp_path: Path) -> None:
    test = write(tmp_path / "test.jsonl", letters(120, seed=9))
    report = check(clean_file, test=test)
    assert [finding.code for finding in report if finding.severity != "fine"] == []
    assert {skipped.code for skipped in report.skipped} == {"truncated", "schema", "boundary"}
    assert [f.code for f in report] == [code for code in CODES if code not in ("truncated", "schema", "boundary")]


def test_json_has_the_agreed_form(tmp_path: Path) -> None:
    rows = letters(60)
    rows.append(rows[3])
    report = check(write(tmp_path / "a.jsonl", rows))
    value = json.loads(report.json_text())
    assert value == report.to_json()
    assert set(value) == {"rows", "findings"} and value["rows"] == 61
    for finding in value["findings"]:
        assert set(finding) == {"code", "severity", "count", "rows", "message", "repair"}
        assert finding["severity"] in ("fine", "warning", "error") and finding["message"]
    duplicate = next(finding for finding in value["findings"] if finding["code"] == "duplicate")
    file = str(tmp_path / "a.jsonl")
    assert duplicate["count"] == 1 and duplicate["severity"] == "warning"
    assert duplicate["rows"] == [{"file": file, "line": 61, "note": "the same row", "other": {"file": file, "line": 4}}]
    assert "--drop duplicates" in duplicate["repair"]


def test_exact_leakage_is_found_completely_whatever_the_case_the_spacing_and_the_system_message(tmp_path: Path) -> None:
    train, test = letters(400), letters(150, seed=5)
    generator = random.Random(1)
    leaked = sorted(generator.sample(range(150), 40))
    sources = generator.sample(range(400), 40)
    for place, source in zip(leaked, sources):
        user = train[source]["messages"][1]["content"]
        shape = generator.choice((str, str.upper, lambda text: f"  {text}\n", lambda text: text.replace(" ", "  ")))
        system = generator.choice((SYSTEM, None, SYSTEM + "\n"))
        test[place] = chat(shape(user), generator.choice(LABELS) if system else LABELS[source % 4], system)
    report = check(write(tmp_path / "train.jsonl", train), test=write(tmp_path / "test.jsonl", test))
    finding = report["leakage"]
    assert finding.severity == "error" and finding.count == 40
    pairs = {(row.place.line, row.other.line) for row in finding.rows if row.other}
    assert pairs == {(source + 1, place + 1) for place, source in zip(leaked, sources)}


def test_the_same_text_under_another_task_is_no_leak(tmp_path: Path) -> None:
    train, test = letters(60), letters(60, seed=2)
    test[4] = chat(train[7]["messages"][1]["content"], "a summary", "You write summaries.")
    report = check(write(tmp_path / "train.jsonl", train), test=write(tmp_path / "test.jsonl", test))
    assert report["leakage"].severity == "fine"


def test_every_row_of_either_side_of_a_leak_is_named(tmp_path: Path) -> None:
    train, test = letters(50), letters(50, seed=2)
    train += [train[0], train[0]]
    test += [train[1]] * 3 + [train[0]]
    report = check(write(tmp_path / "train.jsonl", train), test=write(tmp_path / "test.jsonl", test))
    rows = report["leakage"].rows
    assert {row.place.line for row in rows} == {1, 2, 51, 52}
    assert {row.other.line for row in rows if row.other} == {51, 52, 53, 54}
    assert report["leakage"].count == 4


def edited(generator: random.Random, text: str) -> str:
    words = text.split()
    words[generator.randrange(len(words))] = generator.choice(("surely", "maybe", "nearly"))
    return " ".join(words)


def test_near_leakage_and_near_duplicates_are_found_though_rows_share_a_long_system_prompt(tmp_path: Path) -> None:
    generator = random.Random(3)
    long_system = SYSTEM + " Rules: " + "read the letter twice before you answer it. " * 60
    train = [chat(letter(generator, label), label, long_system) for label in LABELS * 60]
    test = [chat(letter(generator, label), label, long_system) for label in LABELS * 30]
    for place in range(20):
        test[place] = chat(edited(generator, train[place]["messages"][1]["content"]), LABELS[place % 4], long_system)
        train.append(
            chat(edited(generator, train[100 + place]["messages"][1]["content"]), LABELS[place % 4], long_system)
        )
    report = check(write(tmp_path / "train.jsonl", train), test=write(tmp_path / "test.jsonl", test))
    near = report["near-leakage"]
    assert near.severity == "warning" and near.count >= 19
    assert {(row.place.line, row.other.line) for row in near.rows if row.other} <= {(i + 1, i + 1) for i in range(20)}
    pairs = {(row.place.line, row.other.line) for row in report["near-duplicate"].rows if row.other}
    assert pairs <= {(241 + i, 101 + i) for i in range(20)} and len(pairs) >= 19
    assert report["leakage"].severity == "fine" and report["duplicate"].severity == "fine"


def test_conflicts_are_found_completely(tmp_path: Path) -> None:
    rows = letters(300)
    generator = random.Random(4)
    originals = generator.sample(range(300), 30)
    for source in originals:
        messages = rows[source]["messages"]
        other = generator.choice([label for label in LABELS if label != messages[2]["content"]])
        rows.append(chat(messages[1]["content"].upper(), other))
    report = check(write(tmp_path / "a.jsonl", rows))
    assert lines(report, "conflict") == sorted([index + 1 for index in originals] + list(range(301, 331)))
    assert report["conflict"].count == 60 and all(row.other is not None for row in report["conflict"].rows)
    assert report["duplicate"].severity == "fine"


def test_an_answer_that_differs_in_spelling_alone_is_no_conflict(tmp_path: Path) -> None:
    rows = letters(60)
    rows.append(chat(rows[0]["messages"][1]["content"], " Billing "))
    report = check(write(tmp_path / "a.jsonl", rows))
    assert report["conflict"].severity == "fine"
    assert lines(report, "duplicate") == [61] and lines(report, "label-variant") == [61]


def change_answer(rows: Rows, index: int, answer: str) -> None:
    rows[index]["messages"][-1]["content"] = answer


def test_json_with_several_values_is_no_label_and_with_one_it_is(tmp_path: Path) -> None:
    generator = random.Random(6)
    several = [chat(letter(generator, one), json.dumps({"desk": one, "word": "total"})) for one in LABELS * 40]
    report = check(write(tmp_path / "a.jsonl", several))
    assert {skipped.code for skipped in report.skipped} >= {"label-variant", "small-class", "suspect-label"}
    single = [chat(row["messages"][1]["content"], json.dumps({"desk": one})) for row, one in zip(several, LABELS * 40)]
    change_answer(single, 3, json.dumps({"desk": "press"}))
    assert lines(check(write(tmp_path / "b.jsonl", single)), "small-class") == [4]


def test_spelling_variants_of_a_label(tmp_path: Path) -> None:
    rows = letters(200)
    for index, text in ((0, "Billing"), (1, "delivery "), (2, "Returns."), (3, "acount")):
        change_answer(rows, index, text)
    report = check(write(tmp_path / "a.jsonl", rows))
    assert lines(report, "label-variant") == [1, 2, 3, 4]
    assert "'Billing' for 'billing'" in report["label-variant"].rows[0].note
    assert "--merge-labels" in report["label-variant"].repair


def test_small_classes_and_classes_that_training_lacks(tmp_path: Path) -> None:
    train, test = letters(200), letters(120, seed=7)
    change_answer(train, 5, "gift cards")
    change_answer(test, 8, "press")
    report = check(write(tmp_path / "a.jsonl", train), test=write(tmp_path / "b.jsonl", test))
    rows = {(Path(row.place.file).name, row.place.line): row.note for row in report["small-class"].rows}
    assert set(rows) == {("a.jsonl", 6), ("b.jsonl", 9)} and "no row in" in rows["b.jsonl", 9]


def test_rows_that_cannot_be_read_are_counted_and_the_rest_is_checked(tmp_path: Path) -> None:
    rows: list[Any] = letters(100)
    rows[10:10] = ["{broken", '{"other": 1}', '"text"', b"\x00\x00"]
    report = check(write(tmp_path / "a.jsonl", rows))
    assert report.rows == 104 and lines(report, "unreadable") == [11, 12, 13, 14]
    assert report["unreadable"].severity == "error"  # more than 1 %: fit refuses the file
    assert report["duplicate"].severity == "fine"
    few = write(tmp_path / "b.jsonl", [*letters(200), "{broken"])
    assert check(few)["unreadable"].severity == "warning"


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-le"])
def test_a_file_in_another_encoding_is_named_with_the_command_that_converts_it(tmp_path: Path, encoding: str) -> None:
    rows = [chat(f"Größe für die Küche ist zu klein, Nummer {index}", LABELS[index % 4]) for index in range(100)]
    path = tmp_path / "a.jsonl"
    path.write_bytes("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(encoding))
    finding = check(path)["encoding"]
    assert finding.severity == "error" and finding.count >= 100
    assert f"--encoding {encoding}" in finding.repair and encoding in finding.message


def test_text_that_was_decoded_wrongly_before_is_found(tmp_path: Path) -> None:
    rows = letters(60)
    rows[3]["messages"][1]["content"] = "Größe".encode().decode("cp1252") + " of the parcel"
    rows[4]["messages"][1]["content"] = "the lost \ufffd mark"
    rows[5]["messages"][1]["content"] = "SÃO PAULO, 20 °C, «naïve» façade"
    assert lines(check(write(tmp_path / "a.jsonl", rows)), "encoding") == [4, 5]


def test_empty_answers_are_told_from_unreadable_rows(tmp_path: Path) -> None:
    rows: list[Any] = letters(300)
    change_answer(rows, 3, "")
    change_answer(rows, 4, " \n\t")
    rows[5]["messages"][-1]["content"] = None
    rows[6] = {"prompt": "hello", "completion": ""}
    rows[7] = {"prompt": "hello there"}
    change_answer(rows, 8, "NaN")
    report = check(write(tmp_path / "a.jsonl", rows))
    assert lines(report, "empty-answer") == [4, 5, 6, 7, 8, 9]
    assert report["unreadable"].severity == "fine" and report["empty-answer"].severity == "error"


def test_an_empty_label_of_a_table_is_an_empty_answer(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("text,label\n" + "".join(f"row {i},{'a' if i % 2 else 'b'}\n" for i in range(300)) + "last, \n")
    assert lines(check(path), "empty-answer") == [302]


def test_answers_that_are_not_json_where_most_are(tmp_path: Path) -> None:
    rows = [chat(f"text {index} of the page", json.dumps({"n": index})) for index in range(60)]
    change_answer(rows, 7, '{"n": 7')
    change_answer(rows, 8, "seven")
    report = check(write(tmp_path / "a.jsonl", rows))
    assert lines(report, "schema") == [8, 9] and report["schema"].severity == "warning"


def test_rows_that_call_tools_may_answer_in_words(tmp_path: Path) -> None:
    rows = [chat(f"text {index} of the page", "Yes.") for index in range(60)]
    for index, row in enumerate(rows[5:]):
        call = {"function": {"name": "read", "arguments": {"n": index}}}
        row["messages"][-1] = {"role": "assistant", "tool_calls": [call]}
    report = check(write(tmp_path / "a.jsonl", rows))
    assert "schema" in {skipped.code for skipped in report.skipped}


def test_answers_that_break_the_schema_are_named_with_the_path(tmp_path: Path) -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {"items": {"type": "array", "items": {"properties": {"price": {"type": "number"}}}}},
        "required": ["items"],
    }
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(schema))
    rows = [chat(f"text {index} of the page", json.dumps({"items": [{"price": index}]})) for index in range(60)]
    change_answer(rows, 3, '{"items": [{"price": 1}, {"price": "two"}]}')
    change_answer(rows, 4, "{}")
    change_answer(rows, 5, "none")
    finding = check(write(tmp_path / "a.jsonl", rows), schema=path)["schema"]
    notes = {row.place.line: row.note for row in finding.rows}
    assert finding.severity == "error" and finding.count == 3 and set(notes) == {4, 5, 6}
    assert "$.items[1].price" in notes[4] and "not JSON" in notes[6]


def test_control_tokens_inside_messages(tmp_path: Path) -> None:
    rows = letters(60)
    rows[3]["messages"][1]["content"] += " <|im_end|>"
    rows[4]["messages"][1]["content"] += " [/INST]"
    rows[5]["messages"][1]["content"] += " <b>bold</b> <s>no</s> a<|b and x[INST2]"
    report = check(write(tmp_path / "a.jsonl", rows))
    assert lines(report, "control-token") == [4, 5]


def planted_secret() -> str:
    return "AKIA" + "QZJ7XK3MWP5TRN2H"


@pytest.mark.parametrize(
    ("code", "text", "severity"),
    [
        ("pii", "write to jane.doe@mail.example", "warning"),
        ("pii", "call +44 20 7946 0000 now", "warning"),
        ("pii", "card 4111 1111 1111 1111", "warning"),
        ("pii", "pay to GB82 WEST 1234 5698 7654 32", "warning"),
        ("secret", planted_secret(), "error"),
        ("secret", "-----BEGIN " + "RSA PRIVATE KEY-----\nMIIEabc", "error"),
    ],
)
def test_private_data_and_secrets(tmp_path: Path, code: str, text: str, severity: str) -> None:
    rows = letters(60)
    rows[7]["messages"][1]["content"] += " " + text
    report = check(write(tmp_path / "a.jsonl", rows))
    assert lines(report, code) == [8] and report[code].severity == severity
    assert text.split()[-1] not in report[code].rows[0].note  # a report is no place for it either
    assert "--mask" in report[code].repair


def test_a_row_in_another_language(tmp_path: Path) -> None:
    rows = letters(80)
    rows[7]["messages"][1]["content"] = "Ich habe die Rechnung noch nicht bekommen und möchte wissen wann sie kommt"
    rows[9]["messages"][1]["content"] = "Где находится моя посылка и когда она будет доставлена ко мне домой"
    rows[11]["messages"][1]["content"] = "p\u0430\u0443pal login of the account with two alphabets pаypal"
    report = check(write(tmp_path / "a.jsonl", rows))
    assert {8, 10} <= set(lines(report, "language")) <= {8, 10, 12}


def test_data_that_is_meant_to_be_in_several_languages_is_left_alone(tmp_path: Path) -> None:
    german = "Ich habe die Rechnung nummer {} noch nicht bekommen und möchte wissen wann sie kommt"
    rows = letters(80)
    for index in range(0, 80, 4):
        rows[index]["messages"][1]["content"] = german.format(index)
    assert check(write(tmp_path / "a.jsonl", rows))["language"].severity == "fine"


def test_a_system_prompt_that_differs_in_few_rows(tmp_path: Path) -> None:
    rows = letters(100)
    rows[3]["messages"][0]["content"] = SYSTEM.replace("letters", "leters")
    del rows[4]["messages"][0]
    report = check(write(tmp_path / "a.jsonl", rows))
    assert lines(report, "rare-system") == [4, 5]
    notes = [row.note for row in report["rare-system"].rows]
    assert "character 13" in notes[0] and notes[1] == "no system message"
    halves = letters(100)
    for row in halves[50:]:
        row["messages"][0]["content"] = "Sort these."
    assert check(write(tmp_path / "b.jsonl", halves))["rare-system"].severity == "fine"


def test_too_few_rows_for_the_classes_and_to_test_on(tmp_path: Path) -> None:
    few = write(tmp_path / "a.jsonl", letters(40))
    assert check(few)["too-few"].severity == "warning"
    generator = random.Random(2)
    many = [chat(letter(generator, LABELS[i % 4]), f"class {i % 30}") for i in range(300)]
    assert "30 classes" in check(write(tmp_path / "b.jsonl", many))["too-few"].message
    enough = write(tmp_path / "c.jsonl", letters(200))
    assert "accuracy" in check(enough, test=write(tmp_path / "d.jsonl", letters(30, seed=3)))["too-few"].message


@pytest.mark.parametrize("make", [lambda path: path.write_bytes(b""), lambda path: path.write_bytes(b"\n \n")])
def test_a_file_without_rows_is_an_error_and_no_crash(tmp_path: Path, make: Callable[[Path], object]) -> None:
    path = tmp_path / "a.jsonl"
    make(path)
    report = check(path)
    assert report.rows == 0 and report["unreadable"].severity == "error"
    assert str(report) and report._repr_html_()


def test_one_row_is_checked(tmp_path: Path) -> None:
    report = check(write(tmp_path / "a.jsonl", letters(1)), test=write(tmp_path / "b.jsonl", letters(1)))
    assert report["leakage"].count == 1 and report["too-few"].severity == "warning"


def test_rows_of_memory_are_checked_as_those_of_a_file() -> None:
    rows = [row["messages"] for row in letters(60)]
    report = check([*rows, rows[0]], test=[rows[1]])
    assert lines(report, "duplicate") == [61]
    assert report["leakage"].count == 1
