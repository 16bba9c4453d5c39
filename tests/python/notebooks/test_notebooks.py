"""The notebooks run from top to bottom, show pictures, keep to the public API, and are short."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest
from fit_case import need_core
from tiny_model import TinyShape, make_tiny_model

NOTEBOOKS = sorted((Path(__file__).parents[3] / "notebooks").glob("*.ipynb"))
MOST_CELLS = 11
MOST_BYTES = 150_000
ALLOWED = {"json", "pathlib", "luthier", "luthier.demo"}
PICTURES = {"01_first_fit": 1, "02_is_it_better": 1}
"""Charts that a notebook shows."""
ROWS = {"01_first_fit": 40, "02_is_it_better": 400}
"""How many are enough for each part of it to have something to show."""
SECONDS = 600

nbformat = pytest.importorskip("nbformat")


def notebook(path: Path) -> Any:
    return nbformat.read(path, as_version=4)


def code(path: Path) -> list[Any]:
    return [cell for cell in notebook(path).cells if cell.cell_type == "code"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_core()
    return make_tiny_model(tmp_path_factory.mktemp("base") / "model", TinyShape(layers=2, max_positions=12_000))


def test_both_notebooks_are_there() -> None:
    assert [path.stem for path in NOTEBOOKS] == list(PICTURES)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_with_a_tiny_model(
    path: Path, base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    import luthier

    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(Path(luthier.__file__).parents[1]), prepend=":")
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    found = notebook(path)
    settings = next(cell for cell in found.cells if "parameters" in cell.metadata.get("tags", []))
    names = {node.targets[0].id for node in ast.parse(settings.source).body}  # type: ignore[attr-defined]
    assert names == {"MODEL", "ROWS", "FOLDER"}
    settings.source = f"MODEL, ROWS, FOLDER = {str(base)!r}, {ROWS[path.stem]}, 'made'"
    ran = client.NotebookClient(found, timeout=SECONDS, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert (tmp_path / "made" / "run" / "report.html").is_file()
    outputs = [output for cell in ran.cells if cell.cell_type == "code" for output in cell.outputs]
    kinds = [kind for output in outputs for kind in output.get("data", {})]
    assert kinds.count("image/svg+xml") == PICTURES[path.stem]
    assert kinds.count("text/html") >= 2
    assert [output.text for output in outputs if output.get("name") == "stderr"] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_is_short_and_its_outputs_are_small(path: Path) -> None:
    assert len(notebook(path).cells) <= MOST_CELLS
    assert path.stat().st_size <= MOST_BYTES
    assert all(len(line) <= 120 for cell in code(path) for line in cell.source.splitlines())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_keeps_to_the_public_api(path: Path) -> None:
    trees = [ast.parse(cell.source) for cell in code(path)]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    imported |= {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom)}
    assert imported <= ALLOWED
    assert [node.attr for node in nodes if isinstance(node, ast.Attribute) and node.attr.startswith("_")] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_was_kept_as_it_ran_without_a_word_of_the_machine(path: Path) -> None:
    cells = code(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert [output for output in outputs if output.output_type == "error" or output.get("name") == "stderr"] == []
    assert str(Path.home()) + "/" not in path.read_text(encoding="utf-8")
    assert not any("execution" in cell.metadata for cell in cells), "times of another day"
