"""Makes `planted` importable, and gives clean rows in a file."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from planted import letters, write


@pytest.fixture
def clean_file(tmp_path: Path) -> Path:
    """200 rows of which no check says a word."""
    return write(tmp_path / "train.jsonl", letters(200))
