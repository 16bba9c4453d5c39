"""Which rows make up each step: the rows of the job alone, or with a share of general rows among them (replay)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from luthier.training.settings import FitSettings

if TYPE_CHECKING:
    from luthier.training.fit_data import FitRows

_REPLAY_SEED = 1 << 63
"""Added to the run's seed, which is below it: general rows are shuffled on their own."""


class RowOrder(Protocol):
    """The examples of each step; the core's Sampler, or ReplaySampler. Its state is all that a resumed run needs."""

    def next(self) -> list[int]:
        """Indices of the examples of the next step."""

    def state(self) -> dict[str, Any]:
        """What restore() takes."""

    def restore(self, state: dict[str, Any]) -> None:
        """Goes on from a state. Raises InputError when it does not fit the rows."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every row of the job comes once."""


class ReplaySampler:
    """Walks over the rows of the job epoch by epoch, with general rows spread evenly among them.

    An epoch has every one of the `count` rows of the job once, and general rows so that they are `share` of all. Slot i
    of an epoch's T slots, R of them for general rows, is one of these when (i + 1) R // T > i R // T: in every stretch
    of n slots their number is within one of n R / T. General rows go round and round, in an order shuffled anew each
    time, whatever the epoch. Examples 0 to count - 1 are the job's; the general ones follow.
    """

    def __init__(
        self, count: int, replay_count: int, rows_per_step: int, seed: int, shuffled: bool, share: float
    ) -> None:
        from luthier import _core

        self._count = count
        self._replay_count = replay_count
        self._rows_per_step = rows_per_step
        self._replays = max(1, round(count * share / (1.0 - share)))
        self._slots = count + self._replays
        # Of one row a step, these are plain orders, and their states can be computed.
        self._rows = _core.Sampler(count, 1, seed, shuffled)
        self._replay_rows = _core.Sampler(replay_count, 1, seed + _REPLAY_SEED, shuffled)
        self._epoch = 0
        self._offset = 0

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every row of the job comes once; the last may be smaller."""
        return -(-self._slots // self._rows_per_step)

    def next(self) -> list[int]:
        """Indices of the examples of the next step."""
        end = min(self._slots, self._offset + self._rows_per_step)
        step = []
        for slot in range(self._offset, end):
            if self._replays_before(slot + 1) > self._replays_before(slot):
                step.append(self._count + self._replay_rows.next()[0])
            else:
                step.append(self._rows.next()[0])
        self._epoch, self._offset = (self._epoch + 1, 0) if end == self._slots else (self._epoch, end)
        return step

    def state(self) -> dict[str, Any]:
        """Epoch, and slots of it that were handed out."""
        return {"epoch": self._epoch, "offset": self._offset}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Goes on from a state that state() gave. Raises InputError when it does not fit these rows."""
        from luthier.errors import InputError

        epoch, offset = int(state["epoch"]), int(state["offset"])
        if epoch < 0 or not 0 <= offset < self._slots:
            raise InputError(
                f"the sampler's state (epoch {epoch}, offset {offset}) does not fit {self._count} rows with "
                f"{self._replays} of replay: was the data changed?"
            )
        replayed = self._replays_before(offset)
        # General rows may be left in an epoch whose own rows are all done: their order is then at its next epoch.
        for order, count, drawn in (
            (self._rows, self._count, epoch * self._count + offset - replayed),
            (self._replay_rows, self._replay_count, epoch * self._replays + replayed),
        ):
            order.restore({"epoch": drawn // count, "offset": drawn % count})
        self._epoch, self._offset = epoch, offset

    def _replays_before(self, slot: int) -> int:
        return slot * self._replays // self._slots


def row_order(train: FitRows, settings: FitSettings) -> RowOrder:
    """The order of the rows of a fit, from its start. Raises InputError when there is no row to train on."""
    from luthier import _core

    rows_per_step, seed = settings.optimizer.batch_size, settings.run.seed
    shuffled = settings.data.order == "shuffled"
    count = len(train.dataset) - train.replays
    if train.replays == 0:
        return _core.Sampler(count, rows_per_step, seed, shuffled)
    return ReplaySampler(count, train.replays, rows_per_step, seed, shuffled, settings.data.share_of_replay)
