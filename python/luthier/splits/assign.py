"""Which side each unit of rows goes to: by shares within each class, or by time.

A unit is never cut. Sides are numbered 0 for train, 1 for valid and 2 for test.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

__all__ = ["TEST", "TRAIN", "VALID", "by_shares", "by_time"]

TRAIN, VALID, TEST = range(3)
Units = Sequence[Sequence[int]]


def by_shares(units: Units, classes: Sequence[str], shares: tuple[float, float, float], seed: int) -> list[int]:
    """The side of each unit, so that each side gets its share of the rows and of each class.

    `classes[row]` is the class of a row; equal classes everywhere make a random split. Units are dealt in an order in
    which those of one class follow each other, larger ones first, otherwise random: each goes to the side that is
    furthest behind its share of the rows dealt so far (systematic sampling, Cochran, Sampling Techniques, chapter 8).
    So every run of units, and with it every class, is cut by the shares up to a row or so. Units of several rows come
    before single rows, which then make up for what they left uneven. A unit goes to valid or test only where it fits.
    """
    generator = random.Random(seed)
    order = list(range(len(units)))
    generator.shuffle(order)
    rank = {name: index for index, name in enumerate(sorted(set(classes)))}
    main = [rank[_most_common([classes[row] for row in unit])] for unit in units]
    order.sort(key=lambda unit: (len(units[unit]) == 1, main[unit], -len(units[unit])))
    total = sum(len(unit) for unit in units)
    room = [total, *(round(share * total) for share in shares[1:])]
    sides = [TRAIN] * len(units)
    have = [0, 0, 0]
    dealt = 0
    for unit in order:
        size = len(units[unit])
        dealt += size
        fitting = [side for side in (TRAIN, VALID, TEST) if side == TRAIN or have[side] + size <= room[side]]
        side = max(fitting, key=lambda side: (shares[side] * dealt - have[side], side))
        sides[unit] = side
        have[side] += size
    return sides


def by_time(units: Units, times: Sequence[float], shares: tuple[float, float, float]) -> list[int]:
    """The side of each unit by the latest of its rows: the latest units are test, those before them valid.

    Units of the same time are on one side; the cuts are where the rows on either side come closest to the shares.
    """
    latest = [max(times[row] for row in unit) for unit in units]
    total = sum(len(unit) for unit in units)
    sizes = Counter[float]()
    for unit, time in zip(units, latest):
        sizes[time] += len(unit)
    moments = sorted(sizes)
    first_test = _cut(moments, sizes, total * shares[TEST])
    first_valid = _cut(moments[:first_test], sizes, total * shares[VALID])
    place = {time: index for index, time in enumerate(moments)}
    return [TEST if place[time] >= first_test else VALID if place[time] >= first_valid else TRAIN for time in latest]


def _cut(moments: Sequence[float], sizes: Counter[float], wanted: float) -> int:
    """The index from which on the moments have as close to `wanted` rows as can be; the first moment stays before."""
    best, behind, index = len(moments), 0, len(moments)
    while index > 1:
        index -= 1
        with_it = behind + sizes[moments[index]]
        if abs(with_it - wanted) >= abs(behind - wanted):
            break
        best, behind = index, with_it
    return best


def _most_common(names: Sequence[str]) -> str:
    counts = Counter(names)
    return min(counts, key=lambda name: (-counts[name], name))
