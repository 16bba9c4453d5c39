"""A server on a tiny random model, and the official client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fit_case import need_core
from serve_case import NAME, client_of
from tiny_model import TinyShape, make_tiny_model


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model with room for answers that take a while."""
    need_core()
    for package in ("fastapi", "uvicorn", "openai"):
        pytest.importorskip(package)
    return make_tiny_model(tmp_path_factory.mktemp("tiny") / "model", TinyShape(layers=2, max_positions=30000))


@pytest.fixture(scope="session")
def model(folder: Path) -> Any:
    """The model that the servers have too, loaded apart, to compare with."""
    from luthier.models import load

    return load(folder, dtype="float32")


@pytest.fixture(scope="session")
def make_server(folder: Path) -> Iterator[Callable[..., Any]]:
    """Starts servers with given settings."""
    from luthier.models import load
    from luthier.serve import Server, ServeSettings

    with ExitStack() as stack:

        def make(**settings: Any) -> Any:
            settings = {"name": NAME, "port": 0, "max_new_tokens": 24} | settings
            return stack.enter_context(Server(load(folder, dtype="float32"), ServeSettings(**settings)))

        yield make


@pytest.fixture(scope="session")
def server(make_server: Callable[..., Any]) -> Any:
    """A server with the usual settings."""
    return make_server()


@pytest.fixture(scope="session")
def client(server: Any) -> Any:
    """The official client, which tries nothing twice."""
    return client_of(server)


@pytest.fixture(scope="session")
def endless(model: Any) -> list[int]:
    """The ids of a prompt whose greedy answer does not end soon."""
    from luthier import _core

    prompts = [[5, 6, 70 + index] for index in range(40)]
    answers = _core.generate(model.decoder, prompts, 300, sorted(model.encoder.end_ids))
    return next(prompt for prompt, answer in zip(prompts, answers) if len(answer) == 300)


@pytest.fixture(scope="session")
def small_server(make_server: Callable[..., Any]) -> Any:
    """A server with room for short answers only."""
    return make_server(cache_tokens=300, max_new_tokens=4)
