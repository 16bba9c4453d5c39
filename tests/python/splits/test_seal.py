"""The seal of a test file: openings are counted across runs, and a changed file is refused."""

from __future__ import annotations

import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from luthier import durable
from luthier.errors import InputError
from luthier.splits import open_sealed, seal_state
from luthier.splits.seal import new_seal, seal_path


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    path = tmp_path / "test.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}\n')
    durable.write_json(seal_path(path), new_seal(durable.file_sha256(path), 1))
    return path


def test_openings_are_counted_with_what_opened_the_file(sealed: Path) -> None:
    assert seal_state(sealed).summary == "sealed, never opened"
    first = open_sealed(sealed, by="evaluate", run="runs/a")
    assert first.recorded and len(first.openings) == 1 and first.summary == "sealed, opened once (evaluate 1)"
    open_sealed(sealed, by="evaluate", run=Path("runs/b"))
    state = open_sealed(sealed, by="baseline")
    assert [(opening.by, opening.run) for opening in state.openings] == [
        ("evaluate", "runs/a"),
        ("evaluate", "runs/b"),
        ("baseline", None),
    ]
    assert state.runs == 2
    assert state.summary == "sealed, opened 3 times (evaluate 2, baseline 1)"
    assert seal_state(sealed).openings == state.openings, "looking at the seal opens nothing"
    assert state.to_json()["openings"][2]["by"] == "baseline"


def test_a_changed_file_is_refused_with_what_to_do(sealed: Path) -> None:
    sealed.write_text(sealed.read_text() + '{"prompt": "c", "completion": "d"}\n')
    assert seal_state(sealed).changed
    with pytest.raises(InputError, match=r"changed since it was sealed .*Put the sealed file back.*remove .*seal.json"):
        open_sealed(sealed, by="evaluate")
    assert seal_state(sealed).openings == ()
    seal_path(sealed).unlink()
    assert not open_sealed(sealed, by="evaluate").sealed


def test_a_file_without_a_seal_stays_without(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text("{}")
    state = open_sealed(path, by="evaluate")
    assert not state.sealed and not state.changed and not state.recorded and state.summary == "not sealed"
    assert [entry.name for entry in tmp_path.iterdir()] == ["mine.jsonl"]


def test_a_folder_of_rows_has_no_seal_but_a_hash(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "state.json").write_text("{}")
    assert len(open_sealed(tmp_path / "saved", by="evaluate").sha256) == 64


def test_openings_at_the_same_time_are_all_counted(sealed: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda index: open_sealed(sealed, by="evaluate", run=f"runs/{index}"), range(24)))
    assert seal_state(sealed).runs == 24


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_without_permission_the_opening_is_not_recorded(sealed: Path) -> None:
    sealed.parent.chmod(0o500)
    try:
        state = open_sealed(sealed, by="evaluate")
    finally:
        sealed.parent.chmod(0o700)
    assert state.sealed and not state.recorded and len(state.openings) == 1


def test_a_seal_that_cannot_be_written_is_said_to_be_so(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, value: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(durable, "write_json", refuse)
    state = open_sealed(sealed, by="evaluate")
    assert len(state.openings) == 1 and not state.recorded


@pytest.mark.parametrize("content", ["", "[]", "{", '{"format": 1}', '{"format": 9, "sha256": "x"}', "\udc80"])
def test_a_damaged_seal_is_an_error(sealed: Path, content: str) -> None:
    seal_path(sealed).write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match="seal.json"):
        open_sealed(sealed, by="evaluate")


def test_a_missing_test_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="absent.jsonl: cannot be read"):
        open_sealed(tmp_path / "absent.jsonl", by="evaluate")


def test_splitting_the_same_rows_again_keeps_their_openings(tmp_path: Path) -> None:
    from luthier.splits import split

    source = tmp_path / "rows.jsonl"
    words = [durable.file_sha256(Path(__file__))[index : index + 30] for index in range(30)]
    source.write_text(
        "".join(json.dumps({"prompt": f"{i} {w}", "completion": str(i)}) + "\n" for i, w in enumerate(words))
    )
    found = split(source, tmp_path / "out")
    open_sealed(found.test, by="evaluate")
    split(source, tmp_path / "out", overwrite=True)
    assert len(seal_state(found.test).openings) == 1
    split(source, tmp_path / "out", seed=1, overwrite=True)
    assert seal_state(found.test).openings == ()
    shutil.copy(found.test, tmp_path / "copy.jsonl")
    assert not seal_state(tmp_path / "copy.jsonl").sealed
