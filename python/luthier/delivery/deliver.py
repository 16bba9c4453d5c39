"""`deliver`: writes an export aside, tries it, and only then gives the folder its name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier import durable
from luthier.delivery import loaders
from luthier.delivery.agreement import answer_logits
from luthier.delivery.disk import check_disk
from luthier.delivery.export import EXPORT_FILE, Export
from luthier.delivery.files import Planned, plan_files
from luthier.delivery.formats import Choice
from luthier.delivery.prompts import Prompts, choose_prompts
from luthier.delivery.replay import Reference, Verification, replay, trained_side
from luthier.delivery.subject import Subject
from luthier.errors import InputError, LuthierError
from luthier.export.merged import check_destination
from luthier.models.locate import ModelSource
from luthier.native import package_version

if TYPE_CHECKING:
    from luthier.models.model import Model

Stage = Callable[[str], None]


def deliver(
    subject: Subject,
    to: str | os.PathLike[str],
    choice: Choice,
    rows: str | os.PathLike[str] | None = None,
    on_stage: Stage = lambda stage: None,
) -> Export:
    """Exports `subject` into the new folder `to`; `rows` are tried instead of the run's own, `on_stage` hears what is
    being done.

    The folder appears when everything is written and has passed; whatever goes wrong leaves nothing. Raises InputError
    for what cannot be exported or has no room on the disk, LuthierError with the numbers where the files do not answer
    as the trained model does.
    """
    folder = Path(to).expanduser()
    check_destination(folder)
    loaders.check_installed(choice.checks)
    source = subject.locate_base()
    on_stage("loading the trained model")
    model = subject.open(source)
    planned = plan_files(subject, choice, model)
    check_disk(folder, planned.bytes)
    prompts = choose_prompts(model, subject, None if rows is None else Path(rows)) if choice.verify else None
    trained = _Trained(subject, source, model, planned)
    del model, planned
    made: list[Export] = []

    def fill(aside: Path) -> None:
        job = _Job(aside, subject, choice, source, on_stage)
        made.append(job.write(trained) if prompts is None else job.write_and_try(trained, prompts))
        durable.write_json(aside / EXPORT_FILE, made[0].to_json())

    try:
        durable.write_folder(folder, fill)
    except OSError as error:
        # A library that writes arrays tells how much of one the disk took, and not why.
        reason = error.strerror or f"the disk took only a part ({error})"
        raise LuthierError(f"[export] cannot write {folder}: {reason}; nothing was left there") from error
    return replace(made[0], folder=folder)


class _Trained:
    """The trained model until it has been written and asked; then it makes room for the exported one."""

    def __init__(self, subject: Subject, source: ModelSource, model: Model, planned: Planned) -> None:
        self._subject, self._source = subject, source
        self._held: tuple[Model, Planned] | None = (model, planned)

    def held(self) -> tuple[Model, Planned]:
        """The model and the plan of what is made of it."""
        assert self._held is not None
        return self._held

    def as_base(self) -> Model:
        """The base model, which knows the tokens that the fit added but has not learned them; the trained one is gone
        after this."""
        model, _ = self.held()
        rows = int(model.decoder.config["vocabulary_size"])
        self._held = None
        if self._subject.is_adapter:
            model.decoder.detach()
            return model
        del model
        from luthier.models import load

        base = load(self._source.path, dtype="float32")
        own = int(base.decoder.config["vocabulary_size"])
        if 0 < rows - own <= self._subject.added_tokens:
            base.decoder.add_tokens(own, rows - own)
        return base


@dataclass(frozen=True)
class _Job:
    """One export under way, in a folder that does not have its name yet."""

    folder: Path
    subject: Subject
    choice: Choice
    source: ModelSource
    on_stage: Stage

    def write(self, trained: _Trained) -> Export:
        """Writes the files and lists them."""
        _, planned = trained.held()
        self.on_stage(f"writing the {self.choice.label}")
        planned.write(self.folder)
        facts = {**self._facts(), **planned.facts}
        return Export(self.folder, self.choice, facts, _list_files(self.folder), planned.warnings)

    def write_and_try(self, trained: _Trained, prompts: Prompts) -> Export:
        """The same, and then tries them. Raises LuthierError where they fail."""
        model, _ = trained.held()
        self.on_stage(f"asking the trained model {len(prompts.ids)} prompts of {prompts.file}")
        answers, logits = trained_side(model, prompts)
        end_ids = model.encoder.end_ids
        del model
        export = self.write(trained)
        self.on_stage("asking the base model")
        base = trained.as_base()
        if int(base.decoder.config["vocabulary_size"]) != logits[0].shape[-1]:
            raise InputError(f"[export] '{self.subject.base}' has another vocabulary than the model trained from it")
        rows = zip(prompts.ids, answers, strict=True)
        base_logits = tuple(answer_logits(base.decoder, prompt, answer) for prompt, answer in rows)
        del base
        return self._tried(export, Reference(prompts, answers, logits, base_logits, end_ids))

    def _tried(self, export: Export, reference: Reference) -> Export:
        self.on_stage("asking the exported files, loaded anew")
        found = replay(reference, self.folder, self.choice, self.source)
        if found.faults:
            raise LuthierError(self._refused(found.faults, found))
        checks = []
        for loader in self.choice.checks:
            self.on_stage(f"asking {loader}")
            check = loaders.try_loader(loader, reference, self.folder, self.choice, self.source)
            if check.faults:
                raise LuthierError(self._refused([f"{loader}: {fault}" for fault in check.faults], found))
            checks.append(check)
        warnings = (*export.warnings, *found.doubts)
        return replace(export, verification=found, checks=tuple(checks), warnings=warnings)

    def _refused(self, faults: Sequence[str], found: Verification) -> str:
        figures = found.agreement
        measured = (
            ""
            if figures is None
            else f" Measured with {len(found.prompts.ids)} prompts of {found.prompts.file}: largest difference of "
            f"logits {figures.largest_difference:.3g}, divergence {figures.kl:.3g} nats a token, "
            f"{figures.greedy:.1%} of {figures.positions:,} greedy tokens the same."
        )
        said = "; ".join(faults)
        return f"[export] the {self.choice.label} failed its verification and was not kept: {said}.{measured}"

    def _facts(self) -> Mapping[str, Any]:
        return {
            "luthier": package_version("luthier"),
            "run": Path(self.subject.name).name,
            "base_model": self.source.name,
            "base_sha256": dict(self.subject.base_sha256),
        }


def _list_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Bytes and SHA-256 of every file below the folder, by its name there."""
    return {
        file.relative_to(folder).as_posix(): {"bytes": file.stat().st_size, "sha256": durable.file_sha256(file)}
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }
