"""One tiny model for all tests of training."""

from __future__ import annotations

from pathlib import Path

import pytest
from fit_case import FitCase, make_case, need_core
from tiny_model import TinyShape, make_tiny_model


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 2 layers and odd sizes."""
    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "model", TinyShape(layers=2))


@pytest.fixture
def case(tmp_path: Path, tiny_folder: Path) -> FitCase:
    """Rows and settings of a small fit; skips without the core."""
    need_core()
    return make_case(tmp_path, tiny_folder)
