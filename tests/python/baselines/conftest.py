"""Makes `baseline_rows` beside this file importable, and its questions two files of rows."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from baseline_rows import questions, write_rows


@pytest.fixture
def train(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "train.jsonl", questions(40))


@pytest.fixture
def test(tmp_path: Path) -> Path:
    return write_rows(tmp_path / "test.jsonl", questions(12, 100))
