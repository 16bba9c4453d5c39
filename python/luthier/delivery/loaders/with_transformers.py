"""Transformers loads a merged folder or a GGUF model, tokenises the rows, and gives its logits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.delivery.files import model_file
from luthier.delivery.floor import FLOORS, faults
from luthier.delivery.formats import Choice
from luthier.delivery.loader_result import LoaderResult
from luthier.delivery.loaders.compare import chat, compare_logits, ids_said, plain_rows, summary
from luthier.models.locate import ModelSource

if TYPE_CHECKING:
    from luthier.delivery.replay import Reference


def check(reference: Reference, folder: Path, choice: Choice, source: ModelSource) -> LoaderResult:
    """Logits are compared for both formats; token ids for the merged folder only, since Transformers rebuilds the
    tokenizer of a GGUF file in a way of its own (it leaves out the splitting of digits)."""
    import torch

    transformers: Any = import_module("transformers")

    options: dict[str, Any] = {} if choice.format == "merged" else {"gguf_file": model_file(choice)}
    with quiet():
        model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **options).eval()
    figures = compare_logits(reference, lambda ids: model(torch.tensor([list(ids)])).logits[0])
    said = faults(figures, FLOORS[choice.numbers])
    text = summary(figures)
    if choice.format == "merged":
        compared, differing = rendered_ids(reference, folder)
        text = f"{ids_said(compared, differing)}, {text}"
        if differing:
            said.append(f"its token ids differ in {len(differing)} of {compared} rows, {differing[0]} first")
    return LoaderResult(
        "transformers", transformers.__version__, f"loaded: {text}", tuple(said), {"agreement": figures.to_json()}
    )


def rendered_ids(reference: Reference, folder: Path) -> tuple[int, list[str]]:
    """(rows compared, those of which the tokenizer and template of the folder make other ids)."""
    transformers: Any = import_module("transformers")

    from luthier.text.tokenizer import Tokenizer

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    if tokenizer.chat_template is None:
        return 0, []
    rows = plain_rows(reference.prompts, Tokenizer.from_folder(folder))
    differing = []
    for index in rows:
        messages = chat(reference.prompts, index)
        rendered = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=True)
        if list(rendered["input_ids"]) != reference.prompts.ids[index]:
            differing.append(reference.prompts.records[index].where)
    return len(rows), differing


@contextmanager
def quiet() -> Iterator[None]:
    """No bars and no warnings of the library between our lines; errors come as exceptions all the same."""
    transformers: Any = import_module("transformers")

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    with redirect_stderr(StringIO()):  # the bar of GGUF files asks nobody
        yield
