"""Ctrl-C and SIGTERM during training: the first asks for a stop after the step, the second ends the process at once.

A Python signal handler only runs between two native calls, so it can neither answer during a long step nor count two
signals within one. The interpreter's own handler, however, writes a byte per signal to the wake-up descriptor at once;
a thread reads them there and can act while the native step is running.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

EXIT_INTERRUPTED: Final = 130
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """Training was stopped by the user after a whole step, and a checkpoint was saved. The text says how to go on."""


class StopRequest:
    """Whether the user has asked for a stop."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def __bool__(self) -> bool:
        return self._event.is_set()

    def set(self) -> None:
        """Asks for a stop after the current step."""
        self._event.set()


def _watch(receiver: socket.socket, stop: StopRequest, quiet: bool) -> None:
    count = 0
    while signals := receiver.recv(64):
        for number in signals:
            if number not in _SIGNALS:
                continue
            count += 1
            stop.set()
            text = "luthier: stopping: finishing this step and saving a checkpoint (once more to stop at once)"
            if count > 1:
                text = "luthier: stopped at once; the last checkpoint is untouched"
            if not quiet:
                print(text, file=sys.stderr, flush=True)
            if count > 1:
                os._exit(EXIT_INTERRUPTED)


@contextmanager
def stop_on_signals(quiet: bool = False) -> Iterator[StopRequest]:
    """Within the block SIGINT and SIGTERM set the request that is given; afterwards they do what they did before.
    Unless `quiet`, the user is told on stderr.

    Outside the main thread, where Python allows no handlers, the request is simply never set by a signal.
    """
    stop = StopRequest()

    def ask(number: int, frame: FrameType | None) -> None:
        stop.set()

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    receiver, sender = socket.socketpair()
    sender.setblocking(False)
    watcher = threading.Thread(target=_watch, args=(receiver, stop, quiet), name="luthier-signals", daemon=True)
    watcher.start()
    previous_descriptor = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    previous = {number: signal.signal(number, ask) for number in _SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(previous_descriptor)
        sender.close()
        watcher.join()
        receiver.close()
