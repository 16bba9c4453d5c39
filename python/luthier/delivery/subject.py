"""What is exported: the result of a fit, and whether it still stands on the model that it was fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier import durable
from luthier.errors import InputError
from luthier.models.locate import ModelSource, locate

if TYPE_CHECKING:
    from luthier.models.model import Model

_ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors")


@dataclass(frozen=True)
class Subject:
    """The result of a fit.

    `base` is the model as it was given to the fit, `result` the folder of the adapter or, where `is_adapter` is False,
    of the whole model. `base_sha256` and `result_sha256` are the digests by file name that the fit recorded, empty
    where it did not. `rows` are files to take prompts from, best first, each with what it is; `reading` how they are
    read; `added_tokens` how many tokens the fit added to the model's.
    """

    name: str
    base: str
    result: Path
    is_adapter: bool
    base_sha256: Mapping[str, str] = field(default_factory=dict)
    result_sha256: Mapping[str, str] = field(default_factory=dict)
    rows: tuple[tuple[str, Path], ...] = ()
    reading: Mapping[str, Any] = field(default_factory=dict)
    added_tokens: int = 0

    def locate_base(self) -> ModelSource:
        """The base model, if it is still the one that was fitted.

        Raises InputError that names both models where the adapter is for another one, or where a file has changed.
        """
        source = locate(self.base)
        if self.is_adapter:
            self._check_adapter(source)
        if changed := _changed(source.path, self.base_sha256):
            name, before, now = changed
            raise InputError(
                f"[export] {self.name} was fitted to '{self.base}' with the {name} {before[:12]}..., and what is there "
                f"now, {source.path}, has the {name} {now}: an adapter belongs to the weights that it was fitted to. "
                "Put the old files back, or fit again"
            )
        return source

    def open(self, source: ModelSource) -> Model:
        """The trained model in fp32. Raises InputError where the adapter does not fit the base, naming both."""
        from luthier.models import Model, load
        from luthier.models.load import attach_adapter

        if not self.is_adapter:
            return load(self.result, dtype="float32")
        base = load(source.path, dtype="float32")
        try:
            _, tokenizer = attach_adapter(base.decoder, self.result, base.tokenizer)
        except InputError as error:
            raise InputError(f"[export] the adapter {self.result} is not for '{source.name}': {error}") from None
        return Model(base.decoder, tokenizer, base.source)

    def _check_adapter(self, source: ModelSource) -> None:
        from luthier.export.adapter_config import read_adapter_config

        recorded = {name: self.result_sha256[name] for name in _ADAPTER_FILES if name in self.result_sha256}
        if (changed := _changed(self.result, recorded)) is None:
            return
        made_for = read_adapter_config(self.result).base_model
        if made_for is not None and made_for != source.name:
            raise InputError(
                f"[export] the adapter in {self.result} is for the model '{made_for}', but the run was fitted to "
                f"'{source.name}'; put the run's own adapter back, or fit again"
            )
        raise InputError(
            f"[export] {self.result / changed[0]} is not what the run wrote: it has the SHA-256 {changed[2]} and not "
            f"{changed[1][:12]}...; put the run's own adapter back, or fit again"
        )


def _changed(path: Path, recorded: Mapping[str, str]) -> tuple[str, str, str] | None:
    """The first recorded file that is not as it was: its name, its digest then, and now. Raises InputError for one that
    cannot be read."""
    for name, digest in sorted(recorded.items()):
        file = path / name if path.is_dir() else path
        try:
            found = durable.file_sha256(file)
        except FileNotFoundError:
            return name, digest, "missing"
        except OSError as error:
            raise InputError(f"[export] {file}: cannot be read: {error.strerror or error}") from None
        if found != digest:
            return name, digest, f"{found[:12]}..."
    return None
