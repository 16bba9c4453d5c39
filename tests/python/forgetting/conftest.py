"""A tiny model that was measured once, for all tests of forgetting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fit_case import need_core
from tiny_model import TinyShape, make_tiny_model


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of 2 layers and odd sizes that can hold the longest paragraph."""
    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "model", TinyShape(layers=2, max_positions=1024))


@pytest.fixture(scope="session")
def tiny(tiny_folder: Path) -> Any:
    """The model, loaded in fp32."""
    need_core()
    from luthier.models import load

    return load(tiny_folder, dtype="float32")


@pytest.fixture(scope="session")
def figures(tiny: Any) -> Any:
    """Its figures on the general material."""
    from luthier.forgetting import measure_general

    return measure_general(tiny)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("LUTHIER_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"
