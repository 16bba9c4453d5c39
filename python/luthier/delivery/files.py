"""The files of an export: what they will take on the disk, and how they are written and opened again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from luthier.delivery.formats import Choice
from luthier.delivery.subject import Subject
from luthier.errors import InputError
from luthier.models.locate import ModelSource

if TYPE_CHECKING:
    from torch import Tensor

    from luthier.export.adapter import Adapter
    from luthier.models.model import Model
    from luthier.text.encode import ChatEncoder

ADAPTER_FILE: Final = "adapter.gguf"
_OTHER_FILES = 16 << 20
"""Tokenizer, configuration, export.json: a few megabytes."""
_WIDTHS = {"float32": 4, "float16": 2, "bfloat16": 2}
_FLOAT_TYPES = ("F32", "F16", "BF16", "F64")


@dataclass(frozen=True)
class Planned:
    """What is about to be written: `bytes` on the disk, the function that writes it into a folder, facts for
    export.json, and what the user should know."""

    bytes: int
    write: Callable[[Path], None]
    facts: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


def model_file(choice: Choice) -> str:
    """The name of the GGUF model in its folder: model-Q8_0.gguf."""
    return f"model-{choice.gguf_type}.gguf"


def plan_files(subject: Subject, choice: Choice, model: Model) -> Planned:
    """The files of `choice` for the trained `model`.

    Raises InputError, before anything is written, for what cannot be written in that format.
    """
    if choice.is_adapter and not subject.is_adapter:
        raise InputError(
            f"[export] {subject.name} trained all weights, so it has no adapter to write as {choice.format}; use "
            "--format merged or gguf"
        )
    if choice.format == "peft":
        return _peft(subject, choice, model)
    if choice.format == "gguf-lora":
        return _gguf_adapter(subject, choice, model)
    planned = _merged(choice, model) if choice.format == "merged" else _gguf_model(choice, model)
    return Planned(planned.bytes, planned.write, planned.facts, (*_quantised_base(subject, model), *planned.warnings))


def reopen(folder: Path, choice: Choice, source: ModelSource) -> tuple[Model, ChatEncoder | None]:
    """The exported files as a model in fp32, loaded anew, and the tokenizer and template among them; None where there
    are none. Raises InputError, LuthierError where they cannot be loaded.
    """
    from luthier.models import load
    from luthier.text.encode import ChatEncoder
    from luthier.text.tokenizer import Tokenizer

    if choice.format == "peft":
        return load(source.path, adapter=folder, dtype="float32"), ChatEncoder(Tokenizer.from_folder(folder))
    if choice.format == "gguf-lora":
        from luthier.export.gguf_adapter import read_gguf_adapter

        model = load(source.path, dtype="float32")
        read = read_gguf_adapter(folder / ADAPTER_FILE, model.decoder.config)
        config = read.config
        model.decoder.attach_adapter(dict(read.tensors), config.rank, config.alpha, list(read.modules), config.rslora)
        return model, None
    model = load(folder if choice.format == "merged" else folder / model_file(choice), dtype="float32")
    return model, model.encoder


def quantised_types(source: ModelSource) -> Mapping[str, int]:
    """How many of a model's tensors lie in quantised blocks, by the type of these; {} for a Transformers folder."""
    from luthier.formats import GgufFile

    if source.kind != "gguf":
        return {}
    return Counter(kind for _, kind, _ in GgufFile(str(source.path)).tensors if kind not in _FLOAT_TYPES)


def _merged(choice: Choice, model: Model) -> Planned:
    from luthier.export.merged import fill_merged_folder

    def write(folder: Path) -> None:
        fill_merged_folder(folder, model.decoder, model.tokenizer, model.source, choice.numbers)

    size = model.decoder.parameter_count * _WIDTHS[choice.numbers]
    return Planned(size + _OTHER_FILES, write, {"tied_head": bool(model.decoder.config["tied_head"])})


def _gguf_model(choice: Choice, model: Model) -> Planned:
    from luthier.export.gguf_model import GgufModel
    from luthier.export.gguf_types import describe_types

    planned = GgufModel(model.decoder, model.tokenizer, model.source, choice.gguf_type)
    types = planned.types
    warnings = planned.lost
    if choice.gguf_type not in types:
        warnings += (
            f"no tensor of this model has rows of whole blocks of {choice.gguf_type}: they are stored as "
            f"{describe_types(types)}",
        )

    def write(folder: Path) -> None:
        planned.write(folder / model_file(choice))

    return Planned(planned.bytes + (1 << 20), write, {"tensors": types}, warnings)


def _peft(subject: Subject, choice: Choice, model: Model) -> Planned:
    from luthier.export.adapter import fill_adapter_folder

    adapter, tensors = _adapter(subject, choice)

    def write(folder: Path) -> None:
        fill_adapter_folder(folder, tensors, adapter.config, model.tokenizer)

    return Planned(_bytes(tensors) + _OTHER_FILES, write, {"adapter": adapter.config.summary})


def _gguf_adapter(subject: Subject, choice: Choice, model: Model) -> Planned:
    from luthier.export.gguf_adapter import write_gguf_adapter
    from luthier.export.gguf_names import gguf_family

    adapter, tensors = _adapter(subject, choice)
    if (trained := adapter.config.trained_tokens) is not None:
        raise InputError(
            f"[export] {subject.name} added {len(trained.ids):,} tokens, whose rows a GGUF adapter cannot hold; use "
            "--format gguf, merged or peft"
        )
    shape = model.decoder.config
    gguf_family(str(shape["family"]))  # refused now and not when half is written

    def write(folder: Path) -> None:
        write_gguf_adapter(folder / ADAPTER_FILE, tensors, adapter.config, shape, choice.gguf_type)

    return Planned(_bytes(tensors) + (1 << 20), write, {"adapter": adapter.config.summary})


def _adapter(subject: Subject, choice: Choice) -> tuple[Adapter, dict[str, Tensor]]:
    """The run's adapter, and its tensors in the numbers of the choice."""
    import torch

    from luthier.export.adapter import read_adapter

    adapter = read_adapter(subject.result)
    dtype = getattr(torch, choice.numbers)
    return adapter, {name: tensor.to(dtype) for name, tensor in {**adapter.tensors, **adapter.rows}.items()}


def _bytes(tensors: Mapping[str, Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors.values())


def _quantised_base(subject: Subject, model: Model) -> tuple[str, ...]:
    """A warning where the weights that the adapter is merged into were rounded to a few bits before the fit."""
    types = quantised_types(model.source)
    if not types or not subject.is_adapter:
        return ()
    from luthier.export.gguf_types import describe_types

    return (
        f"the base model '{subject.base}' came in quantised blocks ({describe_types(types)}): the adapter was fitted "
        "to these rounded weights and is merged into them, dequantised to fp32; fit the unquantised model to lose "
        "nothing",
    )
