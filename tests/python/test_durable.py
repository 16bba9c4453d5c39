"""Files and folders are whole or absent, and a failure leaves what was there."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from luthier import durable


def test_text_is_replaced_in_one_step_and_nothing_else_stays(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    durable.write_text(file, "one")
    durable.write_text(file, "zwölf")
    assert file.read_text(encoding="utf-8") == "zwölf"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_failing_sync_leaves_the_old_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.json"
    durable.write_text(file, "old")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        durable.write_text(file, "new")
    assert file.read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_folder_whose_filling_fails_leaves_the_old_folder(tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    durable.write_folder(folder, lambda aside: (aside / "a").write_text("old") and None)

    def fail(aside: Path) -> None:
        (aside / "a").write_text("new")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        durable.write_folder(folder, fail)
    assert (folder / "a").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    folder = tmp_path / "adapter"
    durable.write_folder(folder, lambda aside: (aside / "a").write_text("old") and None)
    durable.write_folder(folder, lambda aside: (aside / "b").write_text("new") and None)
    assert [path.name for path in folder.iterdir()] == ["b"]
    assert [path.name for path in tmp_path.iterdir()] == ["adapter"]


def test_every_file_is_synced_before_the_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    sync, rename = durable.sync, durable.os.rename
    monkeypatch.setattr(durable, "sync", lambda path: (events.append(path.name), sync(path))[1])
    monkeypatch.setattr(durable.os, "rename", lambda a, b: (events.append("rename"), rename(a, b))[1])

    def fill(aside: Path) -> None:
        (aside / "deep").mkdir()
        (aside / "deep" / "x").write_text("x")
        (aside / "y").write_text("y")

    durable.write_folder(tmp_path / "f", fill)
    assert events.index("rename") > max(events.index("x"), events.index("y"), events.index("deep"))
    assert events[-1] == tmp_path.name


def test_hashes_are_sha256(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert durable.content_sha256(tmp_path) == {"a": expected}
    assert durable.content_sha256(tmp_path / "a") == {"a": expected}
