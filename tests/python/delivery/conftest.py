"""Small runs to export, fitted once for all tests here."""

from __future__ import annotations

import pytest
from delivery_case import WIDE
from fit_case import FitCase, make_case, need_core
from luthier.training.run import Run
from tiny_model import TinyShape, make_tiny_model


@pytest.fixture(scope="session")
def wide_case(tmp_path_factory: pytest.TempPathFactory) -> FitCase:
    """Model and rows of `run`."""
    need_core()
    folder = tmp_path_factory.mktemp("wide")
    return make_case(folder, make_tiny_model(folder / "model", WIDE))


@pytest.fixture(scope="session")
def run(wide_case: FitCase) -> Run:
    """A finished fit of an adapter."""
    fitted: Run = wide_case.fit("run")
    return fitted


@pytest.fixture(scope="session")
def full_run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A finished fit of all weights, with a head of its own and biases."""
    need_core()
    folder = tmp_path_factory.mktemp("full")
    model = make_tiny_model(folder / "model", TinyShape(tied=False, biases=True, layers=2))
    fitted: Run = make_case(folder, model).fit("run", adapter="full", rank=None, learning_rate=1e-3)
    return fitted
