"""What is known about a run when it is judged. What is not known is None, and does not count as passed."""

from __future__ import annotations

from dataclasses import dataclass, field

from luthier.evaluation import Evaluation, Interval


@dataclass(frozen=True)
class Rival:
    """A baseline: its figure in the task's primary metric, and the tuned model's minus it with the 95 % interval.

    `kind` is as in `luthier.baselines.BaselineResult`; `constraint` says what its answers were constrained to, labels
    or schema.
    """

    name: str
    kind: str
    figure: float
    difference: Interval
    milliseconds: float | None = None
    constraint: str | None = None


@dataclass(frozen=True)
class CheckFinding:
    """A finding of `luthier check` about the training rows: its code, severity (fine, warning, error) and row count."""

    code: str
    severity: str
    count: int = 0
    message: str = ""
    repair: str = ""


@dataclass(frozen=True)
class Losses:
    """Mean losses per supervised token, in nats: of the last steps of training up to the checkpoint that was kept, of
    the validation rows there, and of the test rows. `last_valid` is that of the last checkpoint."""

    train: float | None = None
    valid: float | None = None
    test: float | None = None
    last_valid: float | None = None


@dataclass(frozen=True)
class LossRise:
    """The loss on some material before and after the fit; `change` is relative, `low` to `high` its 95 % interval."""

    what: str
    before: float
    after: float
    change: float
    low: float
    high: float


@dataclass(frozen=True)
class Forgot:
    """What became of what the model could do before: losses, and the shares of general questions answered rightly."""

    rises: tuple[LossRise, ...]
    right_before: float | None = None
    right_after: float | None = None


@dataclass(frozen=True)
class TestUse:
    """How the test file was used: how often it was opened, whether `luthier split` sealed it (then the openings are
    those of all runs), and what else it served as ("the validation rows", "the training rows"), if anything."""

    openings: int | None = None
    sealed: bool | None = None
    reused_as: str | None = None

    __test__ = False  # no test of pytest's


@dataclass(frozen=True)
class Evidence:
    """The evaluation of the tuned model and what else is known.

    `leaked` and `nearly_leaked` count test rows that stand among the training rows, `misspelt` those whose label is
    spelled otherwise than in most training rows; `seeds` are the primary figures of runs that differ in the seed alone,
    `missing_seeds` the seeds that were to be fitted and are not; `skipped` names baselines that were not run, with the
    reason; `free` is the tuned model with free answers, where those of `tuned` were constrained.
    """

    tuned: Evaluation
    rivals: tuple[Rival, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()
    leaked: int | None = None
    nearly_leaked: int | None = None
    misspelt: int = 0
    findings: tuple[CheckFinding, ...] = ()
    train_rows: int | None = None
    forgot: Forgot | None = None
    losses: Losses = field(default_factory=Losses)
    test_use: TestUse = field(default_factory=TestUse)
    seeds: tuple[float, ...] = ()
    missing_seeds: tuple[int, ...] = ()
    free: Rival | None = None

    @property
    def figure(self) -> float:
        """The tuned model's figure in the task's primary metric."""
        return self.tuned.figure
