"""PEFT loads the adapter folder over the base model that Transformers loads, and gives its logits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from luthier.delivery.floor import FLOORS, faults
from luthier.delivery.formats import Choice
from luthier.delivery.loader_result import LoaderResult
from luthier.delivery.loaders.compare import compare_logits, ids_said, summary
from luthier.delivery.loaders.with_transformers import quiet, rendered_ids
from luthier.models.locate import ModelSource

if TYPE_CHECKING:
    from luthier.delivery.replay import Reference


def check(reference: Reference, folder: Path, choice: Choice, source: ModelSource) -> LoaderResult:
    """Logits, and token ids of the tokenizer beside the adapter."""
    import peft
    import torch
    import transformers

    place, options = source.path, {}
    if source.kind == "gguf":
        place, options = source.path.parent, {"gguf_file": source.path.name}
    with quiet():
        base: Any = transformers.AutoModelForCausalLM.from_pretrained(place, dtype=torch.float32, **options)
        if (rows := reference.trained[0].shape[-1]) > base.get_input_embeddings().weight.shape[0]:
            base.resize_token_embeddings(rows)  # as PEFT asks for where tokens were added
        model: Any = peft.PeftModel.from_pretrained(base, str(folder)).eval()
    figures = compare_logits(reference, lambda ids: model(torch.tensor([list(ids)])).logits[0])
    said = faults(figures, FLOORS[choice.numbers])
    compared, differing = rendered_ids(reference, folder)
    if differing:
        said.append(f"its token ids differ in {len(differing)} of {compared} rows, {differing[0]} first")
    text = f"loaded: {ids_said(compared, differing)}, {summary(figures)}"
    return LoaderResult("peft", peft.__version__, text, tuple(said), {"agreement": figures.to_json()})
