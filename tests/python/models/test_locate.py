"""What a user may write for MODEL, and what is said when it is none."""

from __future__ import annotations

import builtins
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from luthier.errors import InputError
from luthier.models import locate
from luthier.models.registry import find_known


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))


def test_a_transformers_folder(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    source = locate(tmp_path)
    assert (source.kind, source.path, source.name) == ("folder", tmp_path.resolve(), str(tmp_path.resolve()))


def test_a_relative_folder_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    monkeypatch.chdir(tmp_path)
    assert locate("model").path == tmp_path / "model"


def test_a_gguf_file_is_known_by_its_content(tmp_path: Path) -> None:
    (tmp_path / "weights.bin").write_bytes(b"GGUF....")
    assert locate(tmp_path / "weights.bin").kind == "gguf"


def test_a_folder_with_one_gguf_file(tmp_path: Path) -> None:
    (tmp_path / "one.gguf").write_bytes(b"GGUF")
    assert locate(tmp_path).path == tmp_path / "one.gguf"
    (tmp_path / "two.gguf").write_bytes(b"GGUF")
    with pytest.raises(InputError, match=r"2 GGUF files"):
        locate(tmp_path)


def test_a_known_name_in_the_cache_is_found_and_one_that_is_not_says_how_to_fetch_it(tmp_path: Path) -> None:
    known = find_known("smollm2-135m-instruct")
    assert known is not None
    with pytest.raises(InputError, match=r"luthier fetch smollm2-135m-instruct"):
        locate("SmolLM2-135M-Instruct")
    known.path.parent.mkdir(parents=True)
    with known.path.open("wb") as file:
        file.truncate(known.file_bytes)
    source = locate("smollm2-135m-instruct")
    assert (source.kind, source.path, source.name) == ("gguf", known.path, "smollm2-135m-instruct")


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"adapter_config.json": "{}"}, "is an adapter"),
        ({"run.json": "{}"}, "luthier export"),
        ({"notes.txt": ""}, "no config.json and no GGUF file"),
    ],
)
def test_other_folders_are_refused_with_what_they_are(files: dict[str, str], expected: str, tmp_path: Path) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=expected):
        locate(tmp_path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"12345678")
    with pytest.raises(InputError, match=r"is no GGUF file"):
        locate(tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match=r"name the folder"):
        locate(tmp_path / "model.safetensors")


@pytest.mark.parametrize("text", ["./nothing", "/no/such/model", "nothing.gguf", "a/b/c"])
def test_a_path_that_does_not_exist_is_no_hub_id(text: str) -> None:
    with pytest.raises(InputError, match=r"no file or folder"):
        locate(text)


def test_a_misspelt_name_gets_the_nearest_one() -> None:
    with pytest.raises(InputError, match=r"did you mean 'smollm2-135m-instruct'"):
        locate("smolm2-135m-instuct")


def fake_hub(monkeypatch: pytest.MonkeyPatch, answer: Any) -> None:
    def snapshot_download(name: str, **options: Any) -> str:
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    hub = ModuleType("huggingface_hub")
    hub.snapshot_download = snapshot_download  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)


def test_a_hub_id_is_fetched_where_a_hub_can_be_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_hub(monkeypatch, tmp_path)
    with pytest.raises(InputError, match=r"holds no config.json"):
        locate("owner/name")
    (tmp_path / "config.json").write_text("{}")
    source = locate("owner/name")
    assert (source.kind, source.path, source.name) == ("folder", tmp_path, "owner/name")


def test_a_hub_that_cannot_be_reached_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_hub(monkeypatch, ConnectionError("no route\nmore"))
    with pytest.raises(InputError, match=r"owner/name.*no route.*smollm2-135m-instruct") as caught:
        locate("owner/name")
    assert "\n" not in str(caught.value)


def test_without_the_hub_package_the_error_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_hub(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "huggingface_hub":
            raise ImportError(name)
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without_hub)
    with pytest.raises(InputError, match=r"huggingface_hub is needed"):
        locate("owner/name")
