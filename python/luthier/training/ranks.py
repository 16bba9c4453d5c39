"""The processes that train one model together, as torchrun starts them; a single process is a group that costs nothing.

    with open_ranks() as ranks:                   # connects when WORLD_SIZE says that there are several processes
        part = ranks.part(dataset, examples)      # this process's share of the examples
        loss, tokens = ranks.sum(loss, tokens)    # the sums over all processes

All processes run the same program and meet at the same points. Every meeting begins with one message of fixed size, in
which each process says whether it has failed and whether it was asked to stop. A process that fails, wherever it is,
takes part in the next message with that flag set; so all of them learn of it there, and none waits in vain.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from luthier.errors import InputError, LuthierError
from luthier.training import failures
from luthier.training.interrupts import StopRequest

if TYPE_CHECKING:
    from torch import Tensor

    from luthier._core import Dataset, Trainer

_VALUES: Final = 6  # numbers in a message beside the two flags
_PATIENCE: Final = timedelta(days=30)  # a long step or checkpoint elsewhere is no error; a lost process is noticed
_FAREWELL: Final = timedelta(seconds=10)


class Ranks:
    """The group of processes, seen from one of them. Methods that communicate must be called by all of them in turn.

    `rank` counts from 0; the process with rank 0 is the first: it alone writes files and speaks. `threads` is a fair
    share of the machine's cores, None for a single process, which keeps its default.
    """

    def __init__(self, rank: int = 0, count: int = 1, threads: int | None = None, group: Any = None) -> None:
        """`group` is a gloo group of torch.distributed with `count` members, None for a single process."""
        self.rank = rank
        self.count = count
        self.threads = threads
        self._group = group
        self._asked = StopRequest()
        self._agreed = StopRequest()
        self._flat: Tensor | None = None
        self._over = False  # an error is known to all, or a process is lost: no more meetings

    @property
    def first(self) -> bool:
        """Whether this process is the one that writes and speaks."""
        return self.rank == 0

    @property
    def command(self) -> str:
        """How a user starts Luthier in as many processes."""
        return "luthier" if self.count == 1 else f"torchrun --nproc-per-node {self.count} -m luthier"

    def part(self, dataset: Dataset, examples: Sequence[int]) -> Sequence[int]:
        """This process's share of the examples, maybe none; the shares cost about the same."""
        if self.count == 1:
            return examples
        from luthier import _core

        return _core.divide_rows(dataset, examples, self.count)[self.rank]

    def sum(self, *values: float) -> tuple[float, ...]:
        """The sums over the processes, the same bits in each. Without values: a point that all of them have reached.

        Raises the error of a process that has failed, as every other meeting does.
        """
        return values if self.count == 1 else self._meet(values, None)

    def sum_gradients(self, trainer: Trainer) -> None:
        """Replaces the gradients of a trainer by their sums over the processes, the same bits in each."""
        if self.count == 1:
            return
        import torch

        if self._flat is None:
            self._flat = torch.empty(trainer.gradient_size)
        trainer.copy_gradients(self._flat)
        self.sum()
        self._all_reduce(self._flat)
        trainer.set_gradients(self._flat)

    def gather(self, table: Sequence[Sequence[int]]) -> list[list[list[int]]]:
        """A table of whole numbers from each process, in the order of their ranks; all tables have the same shape."""
        if self.count == 1:
            return [[list(row) for row in table]]
        import torch

        tensor = torch.tensor(table, dtype=torch.int64)
        self.sum()
        return [gathered.tolist() for gathered in self._all_gather(tensor)]

    def check_same(self, what: str, text: str) -> None:
        """Raises LuthierError in all processes when `text` is not the same in all of them."""
        if self.count == 1:
            return
        from hashlib import sha256

        digest = int.from_bytes(sha256(text.encode()).digest()[:7], "big")
        if any(table != [[digest]] for table in self.gather([[digest]])):
            raise LuthierError(f"{what} differ between the processes; start all of them with the same files")

    def agreed(self, stop: StopRequest) -> StopRequest:
        """A request that is set in all processes at once: at the first message after `stop` was set in one of them."""
        if self.count == 1:
            return stop
        self._asked = stop
        return self._agreed

    def fail(self, error: BaseException) -> BaseException:
        """Tells the others of an error in this process, unless they know. Gives what the group stops with: the error of
        the lowest rank that failed.
        """
        if self._over:
            return error
        try:
            self._meet((), error)
        except BaseException as known:  # a meeting that is told of an error always raises
            return known
        return error

    def wait_for_first(self) -> None:
        """Until the first process has ended, for some seconds at most.

        torchrun ends all processes as soon as one fails; the first should have said by then what happened.
        """
        import torch
        from torch import distributed

        with suppress(RuntimeError):
            work = distributed.all_reduce(torch.zeros(1), group=self._group, async_op=True)
            if work is not None:
                work.wait(_FAREWELL)

    def close(self) -> None:
        """Ends the connection; every process closes it, after the last meeting."""
        from torch import distributed

        distributed.destroy_process_group(self._group)

    def _meet(self, values: Sequence[float], error: BaseException | None) -> tuple[float, ...]:
        import torch

        padding = [0.0] * (_VALUES - len(values))
        flags = [float(error is not None), float(bool(self._asked))]
        message = torch.tensor([*flags, *values, *padding], dtype=torch.float64)
        self._all_reduce(message)
        failed, stop, *sums = message.tolist()
        if failed:
            raise self._first_failure(error)
        if stop:
            self._agreed.set()
        return tuple(sums[: len(values)])

    def _first_failure(self, error: BaseException | None) -> BaseException:
        """The error of the lowest rank that has one; every process calls this after a message that tells of one."""
        import torch

        content = failures.pack(error)
        letter = torch.zeros(failures.LENGTH, dtype=torch.uint8)
        letter[: len(content)] = torch.tensor(list(content), dtype=torch.uint8)
        letters = self._all_gather(letter)
        self._over = True
        for rank, gathered in enumerate(letters):
            if rank == self.rank and error is not None:
                return error
            found = failures.unpack(bytes(gathered.tolist()), f"in process {rank + 1} of {self.count}")
            if found is not None:
                return found
        return LuthierError("a process of the run failed and did not say why")

    def _all_reduce(self, tensor: Tensor) -> None:
        from torch import distributed

        with self._connected():
            distributed.all_reduce(tensor, group=self._group)

    def _all_gather(self, tensor: Tensor) -> list[Tensor]:
        import torch
        from torch import distributed

        gathered = [torch.empty_like(tensor) for _ in range(self.count)]
        with self._connected():
            distributed.all_gather(gathered, tensor, group=self._group)
        return gathered

    @contextmanager
    def _connected(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            self._over = True
            raise failures.FailedElsewhere(
                f"another process of the run has ended or cannot be reached: {error}"
            ) from error


@contextmanager
def open_ranks() -> Iterator[Ranks]:
    """The group of this process: itself alone, or with WORLD_SIZE > 1 those that torchrun started.

    At the end of the block all wait for each other. When one fails, all stop with its error: the first raises it, the
    others raise SystemExit with the exit status of that error, or their own error if nobody foresaw it. Raises
    InputError when the environment is not what torchrun sets.
    """
    count = _number("WORLD_SIZE", 1)
    if count <= 1:
        yield Ranks()
        return
    rank, local_count = _number("RANK"), _number("LOCAL_WORLD_SIZE", 1)
    threads = max(1, len(os.sched_getaffinity(0)) // max(1, local_count))
    ranks = Ranks(rank, count, threads, _connect())
    try:
        yield ranks
        ranks.sum()
    except BaseException as error:
        known = ranks.fail(error)
        if not ranks.first:
            ranks.wait_for_first()
            if not failures.is_internal(error):
                raise SystemExit(failures.exit_status(known)) from error
        raise
    ranks.close()


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


def _connect() -> Any:
    """A gloo group of all processes. Raises LuthierError when they do not find each other."""
    from luthier.native import load_core

    load_core()  # checks torch before it is used
    from torch import distributed

    try:
        if not distributed.is_initialized():
            distributed.init_process_group("gloo")
        return distributed.new_group(backend="gloo", timeout=_PATIENCE)
    except (RuntimeError, ValueError) as error:
        raise LuthierError(f"cannot connect to the other processes of the run: {error}") from error
