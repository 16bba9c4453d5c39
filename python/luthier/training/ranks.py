"""The processes that train one model together, as torchrun starts them; a single process is a group that costs nothing.

    with open_ranks() as ranks:                   # connects when WORLD_SIZE says that there are several processes
        part = ranks.part(dataset, examples)      # this process's share of the examples
        loss, tokens = ranks.sum(loss, tokens)    # the sums over all processes

All processes run the same program and meet at the same points; when one fails, all stop (see `meetings`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from luthier.errors import InputError, LuthierError
from luthier.training import failures
from luthier.training.interrupts import StopRequest
from luthier.training.meetings import Meetings

if TYPE_CHECKING:
    from torch import Tensor

    from luthier._core import Dataset, Trainer


class Ranks:
    """The group of processes, seen from one of them. All of them must call the methods that communicate, in turn; those
    raise the error of a process that has failed.

    `rank` counts from 0; the process with rank 0 is the first: it alone writes files and speaks. `threads` is a fair
    share of the machine's cores, None for a single process, which keeps its default.
    """

    def __init__(
        self, rank: int = 0, count: int = 1, threads: int | None = None, meetings: Meetings | None = None
    ) -> None:
        """`meetings` connects to the others; a single process has none."""
        self.rank = rank
        self.count = count
        self.threads = threads
        self._meetings = meetings
        self._flat: Tensor | None = None

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    @property
    def command(self) -> str:
        """How a user starts Luthier in as many processes."""
        return "luthier" if self.count == 1 else f"torchrun --nproc-per-node {self.count} -m luthier"

    def part(self, dataset: Dataset, examples: Sequence[int]) -> Sequence[int]:
        """This process's share of the examples, maybe none; the shares cost about the same. Communicates nothing."""
        if self.count == 1:
            return examples
        from luthier import _core

        return _core.divide_rows(dataset, examples, self.count)[self.rank]

    def sum(self, *values: float) -> tuple[float, ...]:
        """The sums over the processes of at most six numbers, the same bits in each process. Without numbers: a point
        that all have reached.
        """
        return values if self._meetings is None else self._meetings.agree(values)

    def sum_gradients(self, trainer: Trainer) -> None:
        """Replaces the gradients of a trainer by their sums over the processes, the same bits in each."""
        if self._meetings is None:
            return
        import torch

        if self._flat is None:
            self._flat = torch.empty(trainer.gradient_size)
        trainer.copy_gradients(self._flat)
        self._meetings.add_up(self._flat)
        trainer.set_gradients(self._flat)

    def gather(self, table: Sequence[Sequence[int]]) -> list[list[list[int]]]:
        """A table of whole numbers from each process, by rank; all tables have the same shape."""
        if self._meetings is None:
            return [[list(row) for row in table]]
        import torch

        return [tensor.tolist() for tensor in self._meetings.gather(torch.tensor(table, dtype=torch.int64))]

    def check_same(self, what: str, text: str) -> None:
        """Raises LuthierError in all processes when `text` is not the same in all of them."""
        from hashlib import sha256

        digest = int.from_bytes(sha256(text.encode()).digest()[:7], "big")
        if any(table != [[digest]] for table in self.gather([[digest]])):
            raise LuthierError(f"{what} differ between the processes; start all of them with the same files")

    def agreed(self, stop: StopRequest) -> StopRequest:
        """A request that is set in all processes at once: at the first meeting after `stop` was set in one of them."""
        if self._meetings is None:
            return stop
        self._meetings.asked = stop
        return self._meetings.agreed


@contextmanager
def open_ranks() -> Iterator[Ranks]:
    """The group of this process: itself alone, or with WORLD_SIZE > 1 those that torchrun started.

    At the end of the block all wait for each other. When one fails, all stop with its error: the first raises it, the
    others raise SystemExit with the exit status of that error, or their own error if nobody foresaw it. Raises
    InputError when the environment is not what torchrun sets, LuthierError when the processes do not find each other.
    """
    count = _number("WORLD_SIZE", 1)
    if count <= 1:
        yield Ranks()
        return
    rank, local_count = _number("RANK"), _number("LOCAL_WORLD_SIZE", 1)
    threads = max(1, len(os.sched_getaffinity(0)) // max(1, local_count))
    meetings = Meetings(rank, count)
    ranks = Ranks(rank, count, threads, meetings)
    try:
        yield ranks
        ranks.sum()
    except BaseException as error:
        known = meetings.fail(error)
        if not ranks.first:
            meetings.wait_for_first()
            if not failures.is_internal(error):
                raise SystemExit(failures.exit_status(known)) from error
        raise
    meetings.close()


def is_first_process() -> bool:
    """Whether this process is the one of its group that speaks; true for a single process."""
    return _number("WORLD_SIZE", 1) <= 1 or _number("RANK") == 0


def _number(name: str, default: int | None = None) -> int:
    text = os.environ.get(name, "" if default is None else str(default))
    if not text.isdecimal():
        raise InputError(
            f"{name} is {text!r} in the environment: with several processes (WORLD_SIZE) it must be a number; "
            "start them with torchrun, or unset WORLD_SIZE"
        )
    return int(text)
