"""luthier split: shares, classes, what stays together, time, and files that are whole or untouched."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from luthier.errors import InputError
from luthier.records import read
from luthier.splits import seal_state, split

NAMES = ("train", "valid", "test")
WORDS = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau upsilon".split()
)


def question(index: int) -> str:
    """A text that resembles no other."""
    digest = hashlib.sha256(str(index).encode()).hexdigest()
    return " ".join(WORDS[int(digit, 16)] + digit for digit in digest[:12]) + f" {index}"


def row(index: int, answer: str | None = None, **more: Any) -> dict[str, Any]:
    return {"prompt": question(index), "completion": answer or f"answer {index}", **more}


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in rows), encoding="utf-8")
    return path


def sides(folder: Path) -> dict[str, list[dict[str, Any]]]:
    return {
        name: [json.loads(line) for line in (folder / f"{name}.jsonl").read_text("utf-8").splitlines()]
        for name in NAMES
        if (folder / f"{name}.jsonl").exists()
    }


def test_each_side_has_its_share_and_every_row_is_on_one(tmp_path: Path) -> None:
    source = write(tmp_path / "rows.jsonl", [row(index) for index in range(200)])
    found = split(source, tmp_path / "out", test=0.15, valid=0.1)
    assert found.counts == {"train": 150, "valid": 20, "test": 30}
    lines = [line for name in NAMES for line in (tmp_path / "out" / f"{name}.jsonl").read_bytes().splitlines()]
    assert sorted(lines) == sorted(source.read_bytes().splitlines())


def test_lines_are_written_as_they_stood_and_in_their_order(tmp_path: Path) -> None:
    source = tmp_path / "rows.jsonl"
    lines = [f'{{"completion":  "\\u0061 {i}", "prompt": "{question(i)}", "n": 1.50}}' for i in range(40)]
    source.write_bytes(b"\xef\xbb\xbf" + "\r\n\n".join(lines).encode())
    found = split(source, tmp_path / "out", seed=3)
    for path in (found.train, found.test):
        written = path.read_text("utf-8").splitlines()
        assert set(written) <= set(lines)
        assert written == sorted(written, key=lines.index)
    assert read(found.train)[0].reference is not None


def test_the_same_seed_gives_the_same_files_and_another_one_others(tmp_path: Path) -> None:
    source = write(tmp_path / "rows.jsonl", [row(index, "ab"[index % 2]) for index in range(100)])

    def files(out: str, seed: int) -> dict[str, bytes]:
        split(source, tmp_path / out, seed=seed)
        return {path.name: path.read_bytes() for path in sorted((tmp_path / out).iterdir())}

    first = files("a", 0)
    assert first == files("b", 0)
    assert first["test.jsonl"] != files("c", 1)["test.jsonl"]


def test_classes_are_cut_by_the_shares(tmp_path: Path) -> None:
    counts = {"rare": 20, "common": 300, "usual": 80}
    answers = [answer for answer, count in counts.items() for _ in range(count)]
    source = write(tmp_path / "rows.jsonl", [row(index, answer) for index, answer in enumerate(answers)])
    found = split(source, tmp_path / "out", test=0.15, valid=0.1)
    assert found.record["method"] == "stratified"
    for answer, count in counts.items():
        by_side = found.record["classes"][answer]
        assert sum(by_side.values()) == count
        assert abs(by_side["test"] - 0.15 * count) <= 1 and abs(by_side["valid"] - 0.1 * count) <= 1
    assert Counter(one["completion"] for one in sides(tmp_path / "out")["test"]) == {
        answer: found.record["classes"][answer]["test"] for answer in counts
    }


def test_many_small_classes_keep_the_shares_of_the_whole(tmp_path: Path) -> None:
    rows = [row(index, f"class {index % 40}") for index in range(120)]
    found = split(write(tmp_path / "rows.jsonl", rows), tmp_path / "out")
    assert found.counts == {"train": 90, "valid": 12, "test": 18}


def test_long_answers_are_no_classes(tmp_path: Path) -> None:
    source = write(tmp_path / "rows.jsonl", [row(index) for index in range(50)])
    found = split(source, tmp_path / "out")
    assert found.record["method"] == "random" and found.record["classes"] == {}


def test_near_duplicates_are_on_one_side(tmp_path: Path) -> None:
    rows = []
    for index in range(100):
        rows.append(row(index))
        if index % 3 == 0:
            rows.append({"prompt": question(index).upper() + "!", "completion": "again"})
    source = write(tmp_path / "rows.jsonl", rows)
    for seed in range(3):
        found = split(source, tmp_path / f"out{seed}", seed=seed)
        of_side = {
            name: {one["prompt"].lower().rstrip("!") for one in some} for name, some in sides(found.folder).items()
        }
        assert not of_side["train"] & of_side["test"]
        assert not of_side["valid"] & (of_side["test"] | of_side["train"])
        assert found.record["together"] == {"units": 34, "rows": 68}
        assert found.counts["test"] == 20, "single rows make up for the pairs"
    apart = split(source, tmp_path / "apart", near_duplicates=0)
    assert apart.record["together"] == {"units": 0, "rows": 0}


def test_groups_are_on_one_side_and_chain_with_near_duplicates(tmp_path: Path) -> None:
    rows = [row(index, customer=index % 25) for index in range(200)]
    rows.append({"prompt": question(0) + ".", "completion": "x", "customer": "another"})
    source = write(tmp_path / "rows.jsonl", rows)
    found = split(source, tmp_path / "out", group="customer")
    customers = {name: {str(one["customer"]) for one in some} for name, some in sides(found.folder).items()}
    assert sum(len(some) for some in customers.values()) == 26, "no customer is on two sides"
    assert any({"0", "another"} <= some for some in customers.values())


def test_a_row_without_its_group_is_named(tmp_path: Path) -> None:
    source = write(tmp_path / "rows.jsonl", [row(0, customer=1), row(1)])
    with pytest.raises(InputError, match=r"rows.jsonl:2: no value under 'customer'"):
        split(source, tmp_path / "out", group="customer")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "times",
    [
        list(range(100)),
        [f"2026-01-{1 + index // 24:02}T{index % 24:02}:00:00Z" for index in range(100)],
        [str(index / 7) for index in range(100)],
    ],
    ids=["numbers", "dates", "numbers as text"],
)
def test_the_latest_rows_are_test(tmp_path: Path, times: list[Any]) -> None:
    order = sorted(range(100), key=lambda index: question(index))
    source = write(tmp_path / "rows.jsonl", [row(index, at=times[index]) for index in order])
    found = split(source, tmp_path / "out", time="at")
    assert found.record["method"] == "time"
    numbers = {
        name: sorted(int(one["completion"].split()[1]) for one in some) for name, some in sides(found.folder).items()
    }
    assert numbers == {"train": [*range(75)], "valid": [*range(75, 85)], "test": [*range(85, 100)]}


def test_rows_of_one_moment_are_on_one_side_of_a_cut(tmp_path: Path) -> None:
    source = write(tmp_path / "rows.jsonl", [row(index, day=index // 20) for index in range(100)])
    found = split(source, tmp_path / "out", time="day", valid=0.2)
    days = {name: {one["day"] for one in some} for name, some in sides(found.folder).items()}
    assert days == {"train": {0, 1, 2}, "valid": {3}, "test": {4}}
    assert any("20.0%" in note for note in found.notes)


def test_near_duplicates_go_where_their_latest_row_goes(tmp_path: Path) -> None:
    rows = [row(index, at=index) for index in range(100)]
    rows[0] = {**rows[99], "at": 0}
    found = split(write(tmp_path / "rows.jsonl", rows), tmp_path / "out", time="at")
    assert {0, 99} <= {one["at"] for one in sides(found.folder)["test"]}
    assert max(one["at"] for one in sides(found.folder)["train"]) < 86


@pytest.mark.parametrize(
    ("second", "words"),
    [
        ("yesterday", "rows.jsonl:2: 'yesterday' under 'at' is no time"),
        (None, "rows.jsonl:2: None under 'at' is no time"),
        (True, "rows.jsonl:2: True under 'at' is no time"),
        ("2026-01-31", "rows.jsonl:1: a number under 'at', but a date at"),
    ],
)
def test_times_that_cannot_be_read_are_named(tmp_path: Path, second: Any, words: str) -> None:
    source = write(tmp_path / "rows.jsonl", [row(0, at=1), row(1, at=second)])
    with pytest.raises(InputError) as caught:
        split(source, tmp_path / "out", time="at")
    assert words in str(caught.value)


def test_tables_and_other_formats_become_json_lines_with_all_columns(tmp_path: Path) -> None:
    source = tmp_path / "rows.csv"
    source.write_text("id,text,label\n" + "".join(f"{i},{question(i)},{'ab'[i % 2]}\n" for i in range(40)))
    found = split(source, tmp_path / "out")
    records = read(found.train)
    assert str(records.format).startswith("jsonl/columns")
    assert set(records[0].raw) == {"id", "text", "label"}
    assert found.record["source"]["read_as"] == "csv/columns (prompt from text, answer from label)"


def test_without_valid_there_is_no_such_file(tmp_path: Path) -> None:
    source = write(tmp_path / "rows.jsonl", [row(index) for index in range(40)])
    found = split(source, tmp_path / "out", valid=0)
    assert found.valid is None and not (tmp_path / "out" / "valid.jsonl").exists()
    assert found.counts == {"train": 34, "test": 6}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"test": 0}, "--test 0"),
        ({"test": 0.6, "valid": 0.4}, "leave some rows"),
        ({"test": float("nan")}, "--test nan"),
        ({"near_duplicates": 2}, "--near-duplicates 2"),
        ({"format": "word"}, "--format word"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: dict[str, Any], words: str) -> None:
    source = write(tmp_path / "rows.jsonl", [row(index) for index in range(40)])
    with pytest.raises(InputError, match=words):
        split(source, tmp_path / "out", **options)


def test_too_few_rows_or_rows_that_all_belong_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no row is left for valid: of 3 in all"):
        split(write(tmp_path / "few.jsonl", [row(index) for index in range(3)]), tmp_path / "out")
    same = write(tmp_path / "same.jsonl", [row(7, str(index)) for index in range(50)])
    with pytest.raises(InputError, match="of 50 in all 50 belong together"):
        split(same, tmp_path / "out")
    with pytest.raises(InputError, match="holds no rows"):
        split(write(tmp_path / "empty.jsonl", []), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_large_group_is_noted(tmp_path: Path) -> None:
    rows = [row(index, customer="one" if index < 60 else index) for index in range(100)]
    found = split(write(tmp_path / "rows.jsonl", rows), tmp_path / "out", group="customer")
    assert any("60 rows belong together" in note for note in found.notes)
    assert found.counts["test"] == 15


def test_nothing_is_overwritten_unless_told_so(tmp_path: Path) -> None:
    source = write(tmp_path / "rows.jsonl", [row(index) for index in range(60)])
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    split(source, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    with pytest.raises(InputError, match="exists already; replace the split with --overwrite"):
        split(source, out, seed=1)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before
    split(source, out, seed=1, valid=0, overwrite=True)
    assert (out / "notes.txt").read_text() == "mine"
    assert not (out / "valid.jsonl").exists(), "it belonged to the split that was replaced"
    with pytest.raises(InputError, match="rows to split would be overwritten"):
        split(out / "train.jsonl", out, overwrite=True)


def test_a_failed_write_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from luthier import durable
    from luthier.errors import LuthierError

    source = write(tmp_path / "rows.jsonl", [row(index) for index in range(60)])
    out = tmp_path / "out"
    split(source, out)
    before = {path.name: path.read_bytes() for path in out.iterdir()}

    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "sync", full)
    with pytest.raises(LuthierError, match="No space left"):
        split(source, out, seed=1, overwrite=True)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_without_permission_is_an_error(tmp_path: Path) -> None:
    from luthier.errors import LuthierError

    source = write(tmp_path / "rows.jsonl", [row(index) for index in range(60)])
    out = tmp_path / "out"
    out.mkdir(mode=0o500)
    with pytest.raises(LuthierError, match="cannot write to"):
        split(source, out)


def test_the_record_says_how_to_do_it_again(tmp_path: Path) -> None:
    source = write(tmp_path / "rows.jsonl", [row(index) for index in range(60)])
    found = split(source, tmp_path / "out", seed=5)
    record = json.loads((tmp_path / "out" / "split.json").read_text("utf-8"))
    assert record == found.record
    assert record["seed"] == 5 and record["shares"] == {"test": 0.15, "valid": 0.1}
    assert record["source"]["sha256"] == hashlib.sha256(source.read_bytes()).hexdigest()
    for entry in record["files"].values():
        content = (tmp_path / "out" / entry["file"]).read_bytes()
        assert entry["sha256"] == hashlib.sha256(content).hexdigest()
        assert entry["rows"] == content.count(b"\n")
    assert seal_state(found.test).sealed and seal_state(found.test).openings == ()


def test_a_split_prints_and_shows_in_notebooks(tmp_path: Path) -> None:
    from rich.console import Console

    source = write(tmp_path / "rows.jsonl", [row(index, "ab"[index % 2]) for index in range(60)])
    found = split(source, tmp_path / "out")
    console = Console(record=True, width=100, file=open(os.devnull, "w"))  # noqa: SIM115
    console.print(found)
    shown = console.export_text()
    assert "45 rows   75.0%" in shown and "sealed" in shown and "│ a " in shown
    assert "train 45, valid 6, test 9" in repr(found)
    assert "<table>" in found._repr_html_()
