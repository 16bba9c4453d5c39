"""What the user asked for: a format, the numbers it is written in, and the loaders that are to be tried on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from luthier.errors import InputError
from luthier.export.gguf_types import FLOATS, QUANTS

FORMATS: Final = ("peft", "merged", "gguf", "gguf-lora")
CHECKS: Final = {
    "peft": ("peft", "vllm"),
    "merged": ("transformers", "vllm"),
    "gguf": ("llama.cpp", "transformers"),
    "gguf-lora": ("llama.cpp",),
}
"""The loaders that can be tried, by format."""
_DEFAULTS: Final = {"peft": "float32", "merged": "bfloat16", "gguf": "float16", "gguf-lora": "float32"}
_BY_TYPE: Final = {kind: dtype for dtype, kind in FLOATS.items()}


@dataclass(frozen=True)
class Choice:
    """One export. `numbers` is what it is written in: float32, float16, bfloat16, or for a GGUF model also Q8_0, Q4_0,
    Q4_K. `checks` are the loaders to try; `verify` says whether it is verified at all."""

    format: str
    numbers: str
    checks: tuple[str, ...] = ()
    verify: bool = True

    @property
    def is_adapter(self) -> bool:
        """Whether only the adapter is written, to be used beside its base model."""
        return self.format in ("peft", "gguf-lora")

    @property
    def gguf_type(self) -> str:
        """`numbers` as GGUF names it: F16, Q8_0, ..."""
        return FLOATS.get(self.numbers, self.numbers)

    @property
    def label(self) -> str:
        """For people: "merged model in bfloat16", "GGUF model in Q8_0"."""
        kind = {"peft": "PEFT adapter", "merged": "merged model", "gguf": "GGUF model", "gguf-lora": "GGUF adapter"}
        return f"{kind[self.format]} in {self.gguf_type if self.format == 'gguf' else self.numbers}"


def choose(
    format: str = "merged",
    dtype: str | None = None,
    quant: str | None = None,
    checks: Sequence[str] = (),
    verify: bool = True,
) -> Choice:
    """The choice that the options make together. Raises InputError that names the option that is wrong."""
    if format not in FORMATS:
        raise InputError(f"[export] format is '{format}'; it must be one of {', '.join(FORMATS)}")
    for check in checks:
        if check not in CHECKS[format]:
            raise InputError(
                f"[export] --check {check} does not go with --format {format}, which "
                f"{' and '.join(CHECKS[format])} can load"
            )
    if checks and not verify:
        raise InputError("[export] --check compares with the trained model; leave --no-verify out")
    return Choice(format, _numbers(format, dtype, quant), tuple(dict.fromkeys(checks)), verify)


def _numbers(format: str, dtype: str | None, quant: str | None) -> str:
    if dtype is not None and dtype not in FLOATS:
        raise InputError(f"[export] dtype is '{dtype}'; it must be one of {', '.join(FLOATS)}")
    if quant is None:
        return dtype or _DEFAULTS[format]
    if format != "gguf":
        raise InputError(f"[export] --quant goes with --format gguf; for {format} give --dtype")
    if dtype is not None:
        raise InputError("[export] give either --dtype or --quant, not both")
    kind = quant.upper()
    if kind in QUANTS:
        return kind
    if kind in _BY_TYPE:
        return _BY_TYPE[kind]
    hint = "; Q4_K is what llama.cpp calls Q4_K_S" if kind.startswith("Q4_K") else ""
    raise InputError(f"[export] quant is '{quant}'; it must be one of {', '.join([*QUANTS, *FLOATS.values()])}{hint}")
