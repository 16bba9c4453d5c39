"""adapter_config.json as PEFT writes it: what Luthier cannot honour is refused by name, never ignored."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from luthier.errors import InputError

CONFIG_FILE = "adapter_config.json"
ALL_LINEAR = "all-linear"

# Keys that say nothing about the arithmetic of a loaded adapter.
_HARMLESS = {
    "auto_mapping",
    "base_model_name_or_path",
    "corda_config",
    "ensure_weight_tying",
    "eva_config",
    "inference_mode",
    "loftq_config",
    "lora_dropout",
    "lora_ga_config",
    "megatron_config",
    "megatron_core",
    "peft_version",
    "qalora_group_size",
    "revision",
    "task_type",
}
_READ = {
    "peft_type",
    "r",
    "lora_alpha",
    "target_modules",
    "use_rslora",
    "bias",
    "init_lora_weights",
    "trainable_token_indices",
}
# Initialisations that leave the base weights alone, so that the file's tensors are all there is to the adapter.
_INITIALISATIONS = (True, False, None, "gaussian", "orthogonal", "eva")


EMBEDDING, HEAD = "embed_tokens", "lm_head"


@dataclass(frozen=True)
class TrainedTokens:
    """Tokens whose rows an adapter holds whole, beside its low-rank updates, and the matrices that have these rows: the
    embedding, and the head where it is not tied to that. PEFT calls them trainable_token_indices."""

    ids: range
    matrices: tuple[str, ...] = (EMBEDDING,)


@dataclass(frozen=True)
class AdapterConfig:
    """A LoRA adapter: W + scale B A on each target, scale = alpha / rank, or alpha / sqrt(rank) with `rslora`.

    `targets` are module names or their ends, "all-linear", or one regular expression when `pattern` is set.
    """

    rank: int
    alpha: float
    targets: tuple[str, ...]
    rslora: bool = False
    pattern: bool = False
    base_model: str | None = None
    trained_tokens: TrainedTokens | None = None

    @property
    def scale(self) -> float:
        """The factor of B A."""
        return self.alpha / (math.sqrt(self.rank) if self.rslora else self.rank)

    @property
    def summary(self) -> str:
        """In a few words, for people."""
        kind = "rsLoRA" if self.rslora else "LoRA"
        rows = "" if self.trained_tokens is None else f", with {len(self.trained_tokens.ids):,} added tokens"
        return f"{kind} rank {self.rank} alpha {self.alpha:g} on {', '.join(self.targets)}{rows}"

    def resolve(self, modules: Sequence[str]) -> tuple[str, ...]:
        """The full names among `modules` (a model's linear layers, head apart) that the targets mean, by PEFT's rules:
        a name means the modules of that name or that end with it after a dot, a regular expression must match in full.

        Raises InputError for a target that means none.
        """
        if self.targets == (ALL_LINEAR,):
            return tuple(modules)
        if self.pattern:
            found = [name for name in modules if re.fullmatch(self.targets[0], name)]
            if not found:
                raise InputError(f"[adapter] target_modules '{self.targets[0]}' matches no linear layer of the model")
            return tuple(found)
        for target in self.targets:
            if not any(_means(target, name) for name in modules):
                known = sorted({name.rpartition(".")[2] for name in modules})
                raise InputError(f"[adapter] the model has no linear layer '{target}'; it has {', '.join(known)}")
        return tuple(name for name in modules if any(_means(target, name) for target in self.targets))

    def to_peft(self) -> dict[str, Any]:
        """The content of adapter_config.json."""
        trained = self.trained_tokens
        rows: dict[str, Any] = {}
        if trained is not None:
            rows["trainable_token_indices"] = {name: list(trained.ids) for name in trained.matrices}
        return {
            "peft_type": "LORA",
            "task_type": "CAUSAL_LM",
            "base_model_name_or_path": self.base_model,
            "r": self.rank,
            "lora_alpha": int(self.alpha) if float(self.alpha).is_integer() else self.alpha,
            "lora_dropout": 0.0,
            "target_modules": self.targets[0] if self.pattern or self.targets == (ALL_LINEAR,) else list(self.targets),
            "use_rslora": self.rslora,
            "bias": "none",
            "fan_in_fan_out": False,
            "init_lora_weights": True,
            "modules_to_save": None,
            "inference_mode": True,
            **rows,
        }


def read_adapter_config(folder: Path) -> AdapterConfig:
    """Reads adapter_config.json of a PEFT adapter folder.

    Raises InputError that names the folder and the key for what is missing, malformed or not supported.
    """
    path = folder / CONFIG_FILE
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"[adapter] {folder} holds no {CONFIG_FILE}, so it is no adapter folder") from None
    except OSError as error:
        raise InputError(f"[adapter] cannot read {path}: {error.strerror or error}") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"[adapter] {path} is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise InputError(f"[adapter] {path} is not a JSON object")
    try:
        return _parse(values)
    except InputError as error:
        raise InputError(f"[adapter] {path}: {error}") from None


def _parse(values: Mapping[str, Any]) -> AdapterConfig:
    if values.get("peft_type") != "LORA":
        raise InputError(f"peft_type is {values.get('peft_type')!r}; only LORA is supported")
    if values.get("bias", "none") != "none":
        raise InputError(f"bias is {values['bias']!r}; only 'none' is supported")
    if values.get("init_lora_weights") not in _INITIALISATIONS:
        raise InputError(
            f"init_lora_weights is {values['init_lora_weights']!r}, which changes the base weights; convert "
            "the adapter with "
            "PEFT's save_pretrained(path_initial_model_for_weight_conversion=...) first"
        )
    for key, value in values.items():
        if key not in _HARMLESS and key not in _READ and value not in (None, False, "", [], {}):
            raise InputError(f"{key} is {value!r}; adapters with {key} are not supported")
    rank = _number(values, "r", 8)
    if rank != int(rank) or not 1 <= rank <= 65536:
        raise InputError(f"r is {rank!r}; it must be a whole number of 1 or more")
    targets, pattern = _targets(values.get("target_modules"))
    base = values.get("base_model_name_or_path")
    return AdapterConfig(
        rank=int(rank),
        alpha=float(_number(values, "lora_alpha", 8)),
        targets=targets,
        rslora=values.get("use_rslora") is True,
        pattern=pattern,
        base_model=base if isinstance(base, str) else None,
        trained_tokens=_trained_tokens(values.get("trainable_token_indices")),
    )


def _trained_tokens(value: Any) -> TrainedTokens | None:
    """One run of tokens, the same in every matrix; a list alone means the embedding."""
    if value in (None, [], {}):
        return None
    given: Mapping[Any, Any] = value if isinstance(value, dict) else {EMBEDDING: value}
    matrices = tuple(sorted(str(name).rpartition(".")[2] for name in given))
    if matrices not in ((EMBEDDING,), (EMBEDDING, HEAD)):
        names = ", ".join(map(str, given))
        raise InputError(f"trainable_token_indices names {names}; it can be {EMBEDDING}, alone or with {HEAD}")
    first, *others = given.values()
    if not isinstance(first, list) or not all(type(id) is int and id >= 0 for id in first) or not first:
        raise InputError(f"trainable_token_indices is {value!r}; it must be a list of token ids")
    ids = range(first[0], first[0] + len(first))
    if first != list(ids) or any(other != first for other in others):
        raise InputError(
            "trainable_token_indices are not one run of ascending ids, the same for each matrix; other choices of "
            "tokens are not supported"
        )
    return TrainedTokens(ids, matrices)


def _number(values: Mapping[str, Any], key: str, default: float) -> float:
    value = values.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"{key} is {value!r}; it must be a number")
    return value


def _targets(value: Any) -> tuple[tuple[str, ...], bool]:
    if isinstance(value, str) and value:
        if value == ALL_LINEAR:
            return (ALL_LINEAR,), False
        try:
            re.compile(value)
        except re.error as error:
            raise InputError(f"target_modules is {value!r}, which is no regular expression: {error}") from None
        return (value,), True
    if isinstance(value, list) and value and all(isinstance(item, str) and item for item in value):
        return tuple(sorted(set(value))), False
    raise InputError(f"target_modules is {value!r}; it must be a list of names, a regular expression or '{ALL_LINEAR}'")


def linear_modules(weight_names: Iterable[str]) -> list[str]:
    """The full names of the linear layers inside the decoder's layers, from the names of its weights."""
    return [name.removesuffix(".weight") for name in weight_names if name.endswith("_proj.weight")]


def _means(target: str, name: str) -> bool:
    return name == target or name.endswith("." + target)
