"""The rules by which vLLM accepts an adapter or a model folder, held against the files. vLLM itself is not run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from luthier.delivery.formats import Choice
from luthier.delivery.loader_result import LoaderResult
from luthier.models.locate import ModelSource

if TYPE_CHECKING:
    from luthier.delivery.replay import Reference

RANKS: Final = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""What --max-lora-rank may be; an adapter's rank must not pass it. The default is 16."""
MODULES: Final = frozenset("q_proj k_proj v_proj qkv_proj o_proj gate_proj up_proj gate_up_proj down_proj".split())
"""The linear layers of a decoder that take an adapter."""
ARCHITECTURES: Final = frozenset(
    f"{name}ForCausalLM" for name in "Llama Mistral Qwen2 Qwen3 Gemma Gemma2 Gemma3 Phi3 SmolLM3 Olmo2 Granite".split()
)


def check(reference: Reference, folder: Path, choice: Choice, source: ModelSource) -> LoaderResult:
    """An adapter: its rank, its targets, nothing beside LoRA. A model: its architecture and its template."""
    said, faults = _adapter(folder) if choice.format == "peft" else _model(folder)
    return LoaderResult("vllm", None, f"its rules hold (it was not run): {said}", tuple(faults))


def _adapter(folder: Path) -> tuple[str, list[str]]:
    config = _json(folder / "adapter_config.json")
    faults = []
    rank = int(config["r"])
    if rank > RANKS[-1]:
        faults.append(f"the rank is {rank}, and --max-lora-rank ends at {RANKS[-1]}")
    if config.get("modules_to_save"):
        faults.append(f"modules_to_save is {config['modules_to_save']}, and only adapters without it are loaded")
    if config.get("bias", "none") != "none" or config.get("use_dora"):
        faults.append("trained biases and DoRA are not loaded")
    if config.get("trainable_token_indices"):
        faults.append("rows of added tokens (trainable_token_indices) are not loaded; export the merged model")
    from luthier.formats import SafetensorsFile

    names = [name for name in SafetensorsFile(str(folder / "adapter_model.safetensors")).names() if ".lora_" in name]
    targets = {name.rpartition(".lora_")[0].rpartition(".")[2] for name in names}
    if unknown := sorted(targets - MODULES):
        faults.append(f"{', '.join(unknown)} takes no adapter there; it can be {', '.join(sorted(MODULES))}")
    needed = next((allowed for allowed in RANKS if allowed >= rank), RANKS[-1])
    return f"rank {rank}, start it with --enable-lora --max-lora-rank {max(needed, 16)}", faults


def _model(folder: Path) -> tuple[str, list[str]]:
    config = _json(folder / "config.json")
    faults = []
    names = [str(name) for name in config.get("architectures") or []]
    if not set(names) & ARCHITECTURES:
        faults.append(f"the architecture {names} is not among those known to load: {', '.join(sorted(ARCHITECTURES))}")
    for files in (("tokenizer.json", "tokenizer.model"), ("generation_config.json",)):
        if not any((folder / file).is_file() for file in files):
            faults.append(f"{' or '.join(files)} is missing")
    template = (folder / "chat_template.jinja").is_file()
    return f"{', '.join(names)}; {'chat' if template else 'no chat template: plain'} completions", faults


def _json(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return value
