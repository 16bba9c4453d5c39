"""A server of one model: on this thread until it is stopped, or on one of its own."""

from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

from luthier.errors import InputError, LuthierError
from luthier.generation import DecodingWorker
from luthier.serve.settings import ServeSettings

if TYPE_CHECKING:
    import uvicorn

    from luthier.models.model import Model

__all__ = ["Server"]

_GRACE = 3  # seconds that answers have to end in when the server stops
_IDLE = 75  # seconds; a client that sends its next request as the connection is closed loses it


class Server:
    """Takes the address when it is made, so that `url` is known, and answers from `run` or `start` on.

    The model must not be used otherwise while the server runs.
    """

    def __init__(self, model: Model, settings: ServeSettings | None = None) -> None:
        """Raises InputError for an address that does not exist, LuthierError for one that cannot be had, and InputError
        where FastAPI or uvicorn is not installed."""
        self.settings = settings or ServeSettings()
        _need_packages()
        self._socket = _bound(self.settings.host, self.settings.port)
        self._address = self._socket.getsockname()[:2]
        limits = (self.settings.max_rows, self.settings.max_waiting, self.settings.cache_tokens)
        try:
            self._worker = DecodingWorker(model, *limits)
            self._uvicorn = _uvicorn_of(model, self._worker, self.settings)
        except BaseException:
            self._socket.close()
            raise
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """The base address for clients."""
        host, port = self._address
        return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"

    @property
    def open_answers(self) -> int:
        """How many answers are waiting or being decoded."""
        return self._worker.open_answers

    def run(self) -> None:
        """Serves until Ctrl-C or a signal to end; answers that are not finished soon after are cut off."""
        try:
            self._uvicorn.run(sockets=[self._socket])
        except KeyboardInterrupt:  # raised again once everything is closed
            pass
        finally:
            self._close()

    def start(self) -> None:
        """Serves on a thread of its own until `stop`."""
        thread = threading.Thread(
            target=self._uvicorn.run, kwargs={"sockets": [self._socket]}, name="luthier-serve", daemon=True
        )
        self._thread = thread
        thread.start()

    def stop(self) -> None:
        """Ends what `start` began."""
        self._uvicorn.should_exit = True
        if self._thread is not None:
            self._thread.join()
        self._close()

    def __enter__(self) -> Server:
        self.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.stop()

    def _close(self) -> None:
        self._worker.close()
        self._socket.close()


def _need_packages() -> None:
    try:
        import fastapi  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise InputError(
            f"[serve] {error.name} is not installed; install what the server needs: pip install 'luthier[serve]'"
        ) from None


def _bound(host: str, port: int) -> socket.socket:
    """A socket that listens at the address. Raises InputError for one that does not exist, LuthierError for one that
    cannot be had."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise InputError(f"[serve] the host '{host}' cannot be found: {error}") from None
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(1024)
    except OSError as error:
        listening.close()
        raise LuthierError(
            f"[serve] {host}:{port} cannot be had: {error.strerror or error}; choose another --port, 0 for any"
        ) from None
    return listening


def _uvicorn_of(model: Model, worker: DecodingWorker, settings: ServeSettings) -> uvicorn.Server:
    import uvicorn

    from luthier.serve.app import make_app

    config = uvicorn.Config(
        make_app(model, worker, settings),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE,
        timeout_keep_alive=_IDLE,
    )
    return uvicorn.Server(config)
