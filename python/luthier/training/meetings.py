"""Where the processes of a run meet: one message of fixed size, after which all of them know whether to go on.

In the message each process says whether it has failed and whether it was asked to stop, and gives numbers to add up. A
process that fails, wherever it is, takes part in the next message with its flag set; so the others learn of it where
they wait anyway, and none waits in vain. Whatever else is exchanged comes after a message that told of no failure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from luthier.errors import LuthierError
from luthier.training import failures
from luthier.training.interrupts import StopRequest

if TYPE_CHECKING:
    from torch import Tensor

_VALUES: Final = 6  # numbers in a message beside the two flags
_PATIENCE: Final = timedelta(days=30)  # a long step or checkpoint elsewhere is no error; a lost process is noticed
_FAREWELL: Final = timedelta(seconds=10)


class Meetings:
    """The connection of one process to the others. Every method but `close` must be called by all of them in turn.

    `asked` is what this process was asked, which may be replaced; `agreed` is set in all processes by the same message.
    """

    def __init__(self, rank: int, count: int) -> None:
        """Connects to the others as the environment says. Raises LuthierError when they do not find each other."""
        self._rank = rank
        self._count = count
        self._group, self._owns_all = _connect()
        self._over = False  # all know of an error, or a process is lost: no more meetings
        self.asked = StopRequest()
        self.agreed = StopRequest()

    def agree(self, values: Sequence[float] = ()) -> tuple[float, ...]:
        """The sums of at most six numbers over all processes. Raises the error of the lowest rank that has failed."""
        return self._exchange(values, None)

    def fail(self, error: BaseException) -> BaseException:
        """Tells the others of an error in this process, unless they know. Gives what all stop with: the error of the
        lowest rank that failed.
        """
        if self._over:
            return error
        try:
            self._exchange((), error)
        except BaseException as known:  # a message that tells of an error always raises one
            return known
        return error

    def add_up(self, tensor: Tensor) -> None:
        """Replaces a tensor by its sum over all processes, the same bits in each."""
        self.agree()
        self._all_reduce(tensor)

    def gather(self, tensor: Tensor) -> list[Tensor]:
        """The tensor of each process, by rank; all have the same shape."""
        self.agree()
        return self._all_gather(tensor)

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
        """Ends the connection, after the last meeting."""
        from torch import distributed

        distributed.destroy_process_group(self._group)
        if self._owns_all and distributed.is_initialized():
            distributed.destroy_process_group()  # else its threads may still run when the process ends, and abort it

    def _exchange(self, values: Sequence[float], error: BaseException | None) -> tuple[float, ...]:
        import torch

        padding = [0.0] * (_VALUES - len(values))
        flags = [float(error is not None), float(bool(self.asked))]
        message = torch.tensor([*flags, *values, *padding], dtype=torch.float64)
        self._all_reduce(message)
        failed, stop, *sums = message.tolist()
        if failed:
            raise self._first_failure(error)
        if stop:
            self.agreed.set()
        return tuple(sums[: len(values)])

    def _first_failure(self, error: BaseException | None) -> BaseException:
        """The error of the lowest rank that has one; all processes come here after a message that tells of one."""
        import torch

        content = failures.pack(error)
        letter = torch.zeros(failures.LENGTH, dtype=torch.uint8)
        letter[: len(content)] = torch.tensor(list(content), dtype=torch.uint8)
        letters = self._all_gather(letter)
        self._over = True
        for rank, gathered in enumerate(letters):
            if rank == self._rank and error is not None:
                return error
            found = failures.unpack(bytes(gathered.tolist()), f"in process {rank + 1} of {self._count}")
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

        gathered = [torch.empty_like(tensor) for _ in range(self._count)]
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


def _connect() -> tuple[Any, bool]:
    """A gloo group of all processes, and whether the default group is ours too: a script may have made it before."""
    from luthier.native import load_core

    load_core()  # checks torch before it is used
    from torch import distributed

    try:
        ours = not distributed.is_initialized()
        if ours:
            distributed.init_process_group("gloo")
        return distributed.new_group(backend="gloo", timeout=_PATIENCE), ours
    except (RuntimeError, ValueError) as error:
        raise LuthierError(f"cannot connect to the other processes of the run: {error}") from error
