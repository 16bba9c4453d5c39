"""A tiny model with room for answers that take a while."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fit_case import need_core
from tiny_model import TinyShape, make_tiny_model


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's folder."""
    need_core()
    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "model", TinyShape(layers=2, max_positions=9000))


@pytest.fixture
def model(folder: Path) -> Any:
    """The model, loaded for each test."""
    from luthier.models import load

    return load(folder, dtype="float32")
