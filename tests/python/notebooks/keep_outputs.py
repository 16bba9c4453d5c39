"""Runs notebooks in their folders and keeps what they show in the files.

python tests/python/notebooks/keep_outputs.py notebooks/*.ipynb
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def keep_outputs(path: Path) -> None:
    """Runs a notebook from top to bottom and writes it back with its outputs, without the time of day and the place."""
    notebook = nbformat.read(path, as_version=4)
    resources = {"metadata": {"path": str(path.parent)}}
    NotebookClient(notebook, timeout=None, record_timing=False, resources=resources).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    place = f"{path.parent.resolve()}/"
    path.write_text(nbformat.writes(notebook).replace(place, "") + "\n", encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:]:
        keep_outputs(Path(name))
