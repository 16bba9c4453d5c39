"""The seal of the test file that a run was evaluated on."""

from __future__ import annotations

from luthier.errors import InputError
from luthier.splits import SealState, seal_state


def sealed_test(test: str) -> SealState | None:
    """The state of a sealed test file; None where it has no seal, or file or seal cannot be read."""
    try:
        state = seal_state(test)
    except InputError:
        return None
    return state if state.sealed else None
