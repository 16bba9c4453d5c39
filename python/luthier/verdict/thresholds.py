"""The limits that a verdict is given by. All are shown with it, and each can be set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from luthier.errors import InputError

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Thresholds(BaseModel):
    """The limits of a verdict; shares and losses are fractions, so 0.03 is 3 %. The descriptions say why."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    smallest_rows: int = Field(
        default=50,
        ge=1,
        description="test rows below which nothing is decided: at 50 a share of 80% is known to 11 points",
    )
    noise: float = Field(
        default=0.10, gt=0.0, le=1.0, description="a baseline is 'as good' only where a gain of this size is ruled out"
    )
    near_leakage: Share = Field(
        default=0.01, description="share of test rows nearly in training; it can move a figure by as much"
    )
    test_labels: Share = Field(
        default=0.05,
        description="share of test labels in another spelling than training's: so much is wrong whatever is answered",
    )
    class_recall: Share = Field(
        default=0.50, description="least recall of a class: below, it is missed more often than found"
    )
    class_f1: Share = Field(default=0.50, description="least F1 of a class, or of a field of JSON answers")
    class_support: int = Field(
        default=10, ge=1, description="test rows below which a class is not judged: a recall of 80% of 10 may be 49%"
    )
    format_validity: Share = Field(
        default=0.95, description="least share of answers of the right form: JSON, schema, known label, rules"
    )
    forgetting: float = Field(
        default=0.03, ge=0.0, description="relative rise of the loss on general text that a mild narrow fit stays below"
    )
    suspect_labels: Share = Field(
        default=0.15,
        description="share of training labels that look wrong: of clean ones 6 to 10%, a fifth flipped 21% and more",
    )
    overfitting_ratio: float = Field(
        default=2.0, ge=1.0, description="test loss over validation (else training) loss, ..."
    )
    overfitting_margin: float = Field(
        default=0.30, ge=0.0, description="... and their distance, in nats a token; both must be passed"
    )

    def rows(self) -> Iterator[tuple[str, str, str]]:
        """(name, value, reason) of each, as they are shown."""
        for name, field in type(self).model_fields.items():
            yield name.replace("_", "-"), f"{getattr(self, name):g}", str(field.description)


def parse_thresholds(given: Sequence[str] | None, base: Thresholds | None = None) -> Thresholds:
    """Thresholds with `NAME=VALUE` assignments, as the command line gives them, over `base`. Raises InputError."""
    values: dict[str, Any] = (base or Thresholds()).model_dump()
    for text in given or ():
        name, equals, value = text.partition("=")
        key = name.strip().replace("-", "_")
        if key not in values or not equals:
            known = ", ".join(key.replace("_", "-") for key in values)
            raise InputError(f"--threshold '{text}': give NAME=VALUE; the names are {known}")
        values[key] = value.strip()
    return thresholds_of(values, "--threshold")


def thresholds_of(values: Mapping[str, Any], where: str) -> Thresholds:
    """Thresholds from plain values. Raises InputError, which begins with `where`, for what is none."""
    try:
        return Thresholds(**values)
    except (ValidationError, TypeError) as error:
        found = error.errors()[0] if isinstance(error, ValidationError) else {"loc": ("",), "msg": str(error)}
        name = "".join(str(part) for part in found["loc"][:1]).replace("_", "-")
        raise InputError(f"{where}: {name}: {found['msg']}") from None
