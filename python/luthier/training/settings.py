"""The settings of a fit, as small separate models, and the flat names under which users give them.

Flags of `luthier fit`, keys of a settings file, `--set` assignments and keyword arguments of `luthier.fit` all use the
same flat names (`batch-size` and `batch_size` are one). `compose` turns such a flat mapping into `FitSettings` and
`flatten` turns it back, for run.json.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from luthier.errors import InputError

LORA_LEARNING_RATE = 5e-4
FULL_LEARNING_RATE = 2e-5
DEFAULT_MICRO_TOKENS = 4096
REPLAY_SHARE = 0.1


def _split_targets(value: Any) -> Any:
    """`q_proj,v_proj` and `[q_proj, v_proj]` are the same list of targets."""
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    return [part for part in value if part != ""] if isinstance(value, list | tuple) else value


def _one_or_more(value: Any) -> Any:
    """A text by itself is a list of one."""
    return [value] if isinstance(value, str) else value


Targets = Annotated[tuple[str, ...], BeforeValidator(_split_targets), Field(min_length=1)]
Tokens = Annotated[tuple[str, ...], BeforeValidator(_one_or_more)]
Fraction = Annotated[float, Field(ge=0.0, le=1.0)]
Positive = Annotated[int, Field(ge=1)]


_STRICT = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Lora(BaseModel):
    """Low-rank adapters on linear layers: W + (alpha / rank) B A, or alpha / sqrt(rank) with `rslora` (Hu et al. 2021).

    `targets` is "all-linear" or short module names such as `["q_proj", "v_proj"]`. `init` is a PEFT adapter folder to
    start from; rank, alpha, targets and rslora are then the folder's own.
    """

    model_config = _STRICT
    rank: int = Field(16, ge=1, le=4096)
    alpha: float = Field(32.0, gt=0.0)
    targets: Targets = ("all-linear",)
    rslora: bool = False
    init: str | None = None


class Full(BaseModel):
    """Full fine-tuning: every weight is trained, and the result is a model folder instead of an adapter."""

    model_config = _STRICT


class DataSettings(BaseModel):
    """What is read and in which order. `train` is None when the rows were handed over in memory.

    `replay` is a file of general rows, of which about `replay_share` (default 0.1) of each step's rows are taken.
    """

    model_config = _STRICT
    train: str | None = None
    valid: str | None = None
    test: str | None = None
    text: str | None = None
    label: str | None = None
    system: str | None = None
    format: str | None = None
    max_length: int = Field(1024, ge=2, le=1 << 20)
    order: Literal["file", "shuffled"] = "shuffled"
    skip_bad: bool = False
    replay: str | None = None
    replay_share: Annotated[float, Field(gt=0.0, lt=1.0)] | None = None

    @property
    def share_of_replay(self) -> float:
        """The share of general rows, where there are any."""
        return REPLAY_SHARE if self.replay_share is None else self.replay_share


class VocabularySettings(BaseModel):
    """Tokens that the model gets besides its own. Their rows of the embedding and the head are trained."""

    model_config = _STRICT
    add_token: Tokens = ()


class OptimizerSettings(BaseModel):
    """AdamW and its schedule. `warmup` is a fraction of the steps; `clip` 0 means no clipping."""

    model_config = _STRICT
    epochs: float = Field(1.0, gt=0.0, le=10000.0)
    steps: Positive | None = None
    batch_size: int = Field(16, ge=1, le=1 << 20)
    learning_rate: float = Field(LORA_LEARNING_RATE, gt=0.0, le=1.0)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: Fraction = 0.03
    weight_decay: float = Field(0.0, ge=0.0, le=1.0)
    clip: float = Field(1.0, ge=0.0)


class RunSettings(BaseModel):
    """Where the result goes and how it is computed.

    `micro_tokens` bounds the tokens that are in flight at once. With `memory` low, backward computes the layers again
    instead of keeping what forward left; the result is the same. `seeds` runs are made, with `seed` and those after it.
    """

    model_config = _STRICT
    out: str
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    micro_tokens: int = Field(DEFAULT_MICRO_TOKENS, ge=1, le=1 << 24)
    memory: Literal["normal", "low"] = "normal"
    threads: Annotated[int, Field(ge=1, le=4096)] | None = None
    seed: int = Field(0, ge=0, lt=1 << 63)
    seeds: int = Field(1, ge=1, le=1000)
    save_every: Positive = 100
    valid_every: Positive | None = None


class StartSettings(BaseModel):
    """What to do with a run that is already in the output folder, and which looks before the start to leave out."""

    model_config = _STRICT
    resume: bool = False
    overwrite: bool = False
    skip_memory_check: bool = False
    no_check: bool = False


class FitSettings(BaseModel):
    """Everything a fit needs to know, one small model per subject."""

    model_config = _STRICT
    model: str
    data: DataSettings
    vocabulary: VocabularySettings
    adapter: Lora | Full
    optimizer: OptimizerSettings
    run: RunSettings
    start: StartSettings

    @property
    def method(self) -> Literal["lora", "full"]:
        """The kind of adapter, as the flat key `adapter` spells it."""
        return "lora" if isinstance(self.adapter, Lora) else "full"


_SECTIONS: dict[str, type[BaseModel]] = {
    "data": DataSettings,
    "vocabulary": VocabularySettings,
    "optimizer": OptimizerSettings,
    "run": RunSettings,
    "start": StartSettings,
}
_ADAPTER_KEYS = {"rank": "rank", "alpha": "alpha", "targets": "targets", "rslora": "rslora", "adapter_init": "init"}
_OPTIONAL_TEXT = FieldInfo(annotation=str)


def _field_table() -> dict[str, tuple[str, str, FieldInfo]]:
    table: dict[str, tuple[str, str, FieldInfo]] = {"model": ("", "model", _OPTIONAL_TEXT)}
    table["adapter"] = ("", "adapter", FieldInfo(annotation=Literal["lora", "full"]))
    for key, name in _ADAPTER_KEYS.items():
        table[key] = ("adapter", name, Lora.model_fields[name])
    for section, model in _SECTIONS.items():
        for name, field in model.model_fields.items():
            assert name not in table, name
            table[name] = (section, name, field)
    return table


_TABLE = _field_table()
KEYS: tuple[str, ...] = tuple(_TABLE)
"""Every flat key, spelt with underscores."""


def spell(key: str) -> str:
    """The key as users see it in messages: `batch_size` is `batch-size`."""
    return key.replace("_", "-")


def canonical_key(key: object, where: str = "settings") -> str:
    """The flat key that `key` means, whichever of `-` and `_` it is written with.

    Raises InputError for an unknown key; it names the nearest known one.
    """
    name = str(key).strip().replace("-", "_")
    if name in _TABLE:
        return name
    near = difflib.get_close_matches(name, KEYS, n=1, cutoff=0.5)
    hint = (
        f"did you mean '{spell(near[0])}'?" if near else f"known keys: {', '.join(spell(key) for key in sorted(KEYS))}"
    )
    raise InputError(f"{where}: unknown key '{key}'; {hint}")


def allowed_values(key: str) -> str:
    """What the value of a flat key may be, in words: "a whole number from 1 to 4096", "one of cosine, linear,
    constant".
    """
    field = _TABLE[key][2]
    annotation, bounds = field.annotation, list(field.metadata)
    for part in get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,):
        if get_origin(part) is Annotated:
            annotation, *extra = get_args(part)
            bounds += [bound for item in extra for bound in getattr(item, "metadata", [item])]
        elif part in (int, float, bool, str):
            annotation = part
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(str(value) for value in get_args(annotation))
    kinds: dict[Any, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
    words = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}
    limits = [
        f"{word} {getattr(bound, name):g}" for name, word in words.items() for bound in bounds if hasattr(bound, name)
    ]
    if key == "add_token":
        return "a text, or a list of texts"
    return " ".join([kinds.get(annotation, "a list of module names, or all-linear"), *limits])


def compose(values: Mapping[str, Any]) -> FitSettings:
    """`FitSettings` from flat keys (canonical spelling); what is missing or None takes its default.

    The default learning rate depends on the adapter, and micro-tokens is at least max-length.
    Raises InputError for an unknown key, a value out of range or a key that the chosen adapter has no use for.
    """
    given = {canonical_key(key): value for key, value in values.items() if value is not None}
    method = given.get("adapter", "lora")
    if method not in ("lora", "full"):
        raise _refuse("adapter", method)
    for key in ("model", "out"):
        if key not in given:
            raise InputError(f"'{key}' is missing: give --{key} on the command line or '{key}:' in the settings file")
    if method == "full" and (useless := [key for key in _ADAPTER_KEYS if given.get(key)]):
        raise InputError(f"'{spell(useless[0])}' belongs to adapter 'lora'; remove it or choose --adapter lora")
    nested: dict[str, dict[str, Any]] = {section: {} for section in (*_SECTIONS, "adapter")}
    for key, value in given.items():
        section, name, field = _TABLE[key]
        if isinstance(value, bool) and field.annotation is not bool:
            raise _refuse(key, value)
        if section and not (section == "adapter" and method == "full"):
            nested[section][name] = value
    if method == "full":
        nested["optimizer"].setdefault("learning_rate", FULL_LEARNING_RATE)
    if not isinstance(given["model"], str) or given["model"] == "":
        raise _refuse("model", given["model"])
    data = _build(DataSettings, "data", nested)
    nested["run"].setdefault("micro_tokens", max(DEFAULT_MICRO_TOKENS, data.max_length))
    if data.replay_share is not None and data.replay is None:
        raise InputError("'replay-share' is given but no 'replay', the file that the share is taken from")
    settings = FitSettings(
        model=given["model"],
        data=data,
        vocabulary=_build(VocabularySettings, "vocabulary", nested),
        adapter=_build(Lora, "adapter", nested) if method == "lora" else Full(),
        optimizer=_build(OptimizerSettings, "optimizer", nested),
        run=_build(RunSettings, "run", nested),
        start=_build(StartSettings, "start", nested),
    )
    if settings.run.seed + settings.run.seeds > 1 << 63:
        raise _refuse("seed", f"{settings.run.seed}, with {settings.run.seeds} seeds")
    if settings.start.resume and settings.start.overwrite:
        raise InputError(
            "'resume' and 'overwrite' exclude each other: one continues the run in the folder, one replaces it"
        )
    return settings


def flatten(settings: FitSettings) -> dict[str, Any]:
    """The settings under their flat keys, as plain JSON values, without those of `StartSettings`."""
    flat: dict[str, Any] = {"model": settings.model, "adapter": settings.method}
    for key, (section, name, _) in _TABLE.items():
        if section == "" or section == "start" or (section == "adapter" and settings.method == "full"):
            continue
        value = getattr(getattr(settings, section), name)
        flat[key] = list(value) if isinstance(value, tuple) else value
    return flat


def adapter_values(adapter: Lora | Full) -> dict[str, Any]:
    """The flat keys that an adapter object stands for; only what its maker set, so that defaults stay defaults."""
    if isinstance(adapter, Full):
        return {"adapter": "full"}
    names = {name: key for key, name in _ADAPTER_KEYS.items()}
    return {"adapter": "lora"} | {names[name]: getattr(adapter, name) for name in adapter.model_fields_set}


def _build(model: type[Any], section: str, nested: Mapping[str, Mapping[str, Any]]) -> Any:
    try:
        return model(**nested[section])
    except ValidationError as error:
        name = str(error.errors()[0]["loc"][0])
        key = next(key for key, entry in _TABLE.items() if entry[:2] == (section, name))
        raise _refuse(key, nested[section].get(name)) from None


def _refuse(key: str, value: object) -> InputError:
    return InputError(f"'{spell(key)}' is {value}; it must be {allowed_values(key)}")
