"""C++: each folder includes itself and the folders it may use, and every foreign header has its one place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import pytest
from tree import ROOT, name_of

CPP = ROOT / "cpp" / "luthier"
_DECLARED = re.compile(r"^luthier_folder\((\w+)(?: DEPENDS ([\w ]+?))?(?: LINK ([\w\- ]+))?\)", re.MULTILINE)
_INCLUDE = re.compile(r'^\s*#\s*include\s+["<]([^">]+)[">]', re.MULTILINE)
_OWN = re.compile(r"luthier/(\w+)/")

# Headers that pull in most of torch: slow to compile, and never needed.
FORBIDDEN = ("torch/extension.h", "torch/torch.h", "torch/all.h", "ATen/ATen.h")
TENSORS = ("ATen/", "c10/")


def declared() -> dict[str, tuple[set[str], set[str]]]:
    """From CMake, per folder in its order there: the folders it may use, all together, and the targets it links."""
    folders: dict[str, tuple[set[str], set[str]]] = {}
    for name, depends, links in _DECLARED.findall((CPP / "CMakeLists.txt").read_text(encoding="utf-8")):
        uses, targets = set(), set(links.split())
        for folder in depends.split():
            assert folder in folders, f"{name} uses {folder}, which is not declared above it"
            uses |= {folder} | folders[folder][0]
            targets |= folders[folder][1]
        folders[name] = (uses, targets)
    return folders


def violations(place: str, text: str, folders: Mapping[str, tuple[set[str], set[str]]]) -> Iterator[str]:
    """What the includes of a file at `place` ("luthier/ops/rope.cpp", "bindings/data.cpp") break."""
    parts = place.split("/")
    folder = parts[1] if parts[0] == "luthier" else None
    uses, targets = folders[folder] if folder else (set(folders), {"libtorch"})
    for header in _INCLUDE.findall(text):
        own = _OWN.match(header)
        if header in FORBIDDEN:
            yield f"{place}: {header} is never included; include the few headers that are needed"
        elif own and own[1] != folder and own[1] not in uses:
            yield f"{place}: {header}, but {folder} may use only {', '.join(sorted(uses)) or 'the standard library'}"
        elif header.startswith("pybind11/") and folder:
            yield f"{place}: {header}; pybind11 is included in cpp/bindings only"
        elif header.startswith("torch/") and place != "bindings/tensor_caster.h":
            yield f"{place}: {header}; torch's own headers are included in cpp/bindings/tensor_caster.h only"
        elif header.startswith(TENSORS) and "libtorch" not in targets:
            yield f"{place}: {header}, but {folder} does not link libtorch"
        elif header.startswith("sentencepiece") and folder != "text":
            yield f"{place}: {header}; sentencepiece is included in text only"
        elif "/cpu/" in header and parts[2:3] == ["reference"]:
            yield f"{place}: {header}; the reference stands on its own"


def sources() -> list[str]:
    """Every C++ file below cpp/, as `violations` names it."""
    root = ROOT / "cpp"
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.suffix in (".h", ".cpp", ".cu"))


def test_every_include_points_to_a_folder_that_may_be_used() -> None:
    folders, files = declared(), sources()
    assert len(files) > 100
    found = [line for file in files for line in violations(file, (ROOT / "cpp" / file).read_text("utf-8"), folders)]
    assert found == []


def test_every_folder_is_declared_and_has_its_place_in_the_design() -> None:
    folders = declared()
    assert set(folders) == {path.name for path in CPP.iterdir() if path.is_dir()}
    design = (ROOT / "docs" / "design" / "architecture.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `cpp/luthier/(\w+)`", design, re.MULTILINE) == list(folders)


def test_the_tests_of_a_folder_use_what_the_folder_may_use() -> None:
    folders, root = declared(), ROOT / "tests" / "cpp"
    found = []
    for path in sorted(root.rglob("*.cpp")) + sorted(root.rglob("*.h")):
        folder = path.relative_to(root).parts[0]
        for own in filter(None, map(_OWN.match, _INCLUDE.findall(path.read_text("utf-8")))):
            if own[1] != folder and own[1] not in folders[folder][0]:
                found.append(f"{name_of(path)}: {own[1]}")
    assert found == []


def test_a_source_file_includes_its_own_header_first() -> None:
    for file in sources():
        path = ROOT / "cpp" / file
        if path.suffix == ".cpp" and file.startswith("luthier/") and path.with_suffix(".h").exists():
            assert _INCLUDE.findall(path.read_text("utf-8"))[0] == file.removesuffix(".cpp") + ".h", file


def test_a_header_says_what_it_is_for_and_is_read_once() -> None:
    for file in sources():
        if file.endswith(".h"):
            text = (ROOT / "cpp" / file).read_text("utf-8")
            assert text.startswith("// "), f"{file}: begin with a sentence on what the header is for"
            assert "\n#pragma once\n" in text, file


@pytest.mark.parametrize(
    ("place", "header"),
    [
        ("luthier/ops/rope.cpp", "luthier/model/decoder.h"),
        ("luthier/formats/gguf.cpp", "ATen/core/Tensor.h"),
        ("luthier/text/sentencepiece_model.h", "luthier/formats/json.h"),
        ("luthier/model/load.cpp", "pybind11/pybind11.h"),
        ("luthier/model/load.cpp", "torch/csrc/utils/pybind.h"),
        ("luthier/model/load.cpp", "sentencepiece_processor.h"),
        ("luthier/ops/reference/rope.cpp", "luthier/ops/cpu/types.h"),
        ("luthier/train/trainer.h", "ATen/ATen.h"),
        ("bindings/model.cpp", "torch/extension.h"),
    ],
)
def test_a_wrong_include_is_found(place: str, header: str) -> None:
    folders = declared()
    assert len(list(violations(place, f'#pragma once\n#include "{header}"\n', folders))) == 1
    assert (
        list(violations("luthier/train/trainer.h", '#include "luthier/adapter/lora.h"\n#include <map>', folders)) == []
    )
