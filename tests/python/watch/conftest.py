"""A tiny model, and one run on made-up rows, for all tests of watch and gate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from drifting_rows import WatchCase, draw, write_records
from fit_case import need_core
from luthier.records import Record
from tiny_model import TinyShape, make_tiny_model


@pytest.fixture(scope="session")
def watched(tmp_path_factory: pytest.TempPathFactory) -> WatchCase:
    """A run of few steps on 240 rows."""
    need_core()
    from luthier.training.run import run_fit

    folder = tmp_path_factory.mktemp("watched")
    model = make_tiny_model(folder / "model", TinyShape(layers=2, max_positions=1024))
    train = write_records(folder / "train.jsonl", draw(240, seed=0))
    out = folder / "run"
    values = {"train": str(train), "model": str(model), "out": str(out), "rank": 2, "steps": 2, "threads": 1}
    run_fit(values, quiet=True)
    return WatchCase(train, out, model)


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[str, Record], str]], None]:
    """Lets models answer by a function of the adapter's folder name and the record, instead of decoding."""

    def install(function: Callable[[str, Record], str]) -> None:
        from luthier.models.model import Model
        from luthier.training.run import Run

        model_of = Run.model

        def model(self: Any, dtype: str | None = None) -> Any:
            found = model_of(self, dtype)
            vars(found)["run_name"] = self.folder.name
            return found

        def answer(self: Any, records: Sequence[Record], *rest: Any, **more: Any) -> list[str]:
            return [function(vars(self).get("run_name", ""), record) for record in records]

        monkeypatch.setattr(Run, "model", model)
        monkeypatch.setattr(Model, "answer", answer)

    return install
