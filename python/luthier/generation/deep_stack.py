"""Work that may recurse deeply in a library: it runs on a thread with a stack that is large enough."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

__all__ = ["on_deep_stack"]

Result = TypeVar("Result")

_BYTES = 256 * 2**20  # of address space; memory only where it is touched
_LOCK = threading.Lock()


def on_deep_stack(work: Callable[[], Result]) -> Result:
    """What `work` returns, or its exception. A thread's usual stack of 8 MiB holds a recursion of some hundred steps of
    a library with large frames, and the process ends where it does not suffice."""
    results: list[Result] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="luthier-deep-stack", daemon=True)
    with _LOCK:  # the size is that of all threads that begin meanwhile
        before = threading.stack_size(_BYTES)
        try:
            thread.start()
        finally:
            threading.stack_size(before)
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
