"""One measurement of growth.py, in a fresh process.

python growth_worker.py SPECIFICATION.json
"""

from __future__ import annotations

import json
import resource
import sys
import time
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

from luthier import _core

_WARM_UP = 1
_STEPS = 2
_SECONDS = 5.0  # and more where the job says so


def train(job: dict[str, Any]) -> dict[str, Any]:
    """Steps of LoRA on random rows of a model with random weights."""
    import torch
    from luthier.models.load import load_decoder
    from luthier.models.locate import locate

    _core.set_threads(job["threads"])
    decoder = load_decoder(locate(job["weights"]), job["dtype"])
    decoder.attach_lora(16, 32.0, ["all-linear"], False, 0)
    torch.manual_seed(0)
    shared = torch.randint(job["vocabulary"], (job.get("shared", 0),)).tolist()
    dataset = _core.Dataset(job["row_tokens"])
    for number in range(job["rows"]):
        own = job["row_tokens"] - len(shared)
        ids = shared + torch.randint(job["vocabulary"], (own,)).tolist()
        weights = [0.0] * (len(ids) - job["supervised"]) + [1.0] * job["supervised"]
        dataset.add(number, ids, weights, [False] * len(ids))
    trainer = _core.Trainer(decoder, "lora", job["micro_tokens"], 1.0, 0.0)
    everything = list(range(job["rows"]))
    for _ in range(_WARM_UP):
        trainer.step(dataset, everything, 1e-4)
    seconds: list[float] = []
    while len(seconds) < _STEPS or sum(seconds) < job.get("seconds", _SECONDS):
        begin = time.perf_counter()
        step = trainer.step(dataset, everything, 1e-4)
        seconds.append(time.perf_counter() - begin)
    return {
        "parameters": decoder.parameter_count,
        "rows": job["rows"],
        "row_tokens": job["row_tokens"],
        "computed": step.computed_tokens,
        "tokens_per_second": step.tokens / median(seconds),
        "computed_per_second": step.computed_tokens / median(seconds),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


def make(job: dict[str, Any]) -> dict[str, Any]:
    """Writes a model folder with random bf16 weights of the Llama shape, tied head."""
    import torch
    from safetensors.torch import save_file

    hidden, intermediate, layers, heads, key_heads = job["shape"]
    vocabulary, path = job["vocabulary"], Path(job["weights"])
    path.mkdir()
    size = hidden // heads
    torch.manual_seed(0)

    def weight(rows: int, columns: int) -> torch.Tensor:
        return (torch.randn(rows, columns) * 0.02).to(torch.bfloat16)

    tensors = {"model.embed_tokens.weight": weight(vocabulary, hidden), "model.norm.weight": torch.ones(hidden)}
    for layer in range(layers):
        name = f"model.layers.{layer}."
        for part, rows, columns in (
            ("self_attn.q_proj", heads * size, hidden),
            ("self_attn.k_proj", key_heads * size, hidden),
            ("self_attn.v_proj", key_heads * size, hidden),
            ("self_attn.o_proj", hidden, heads * size),
            ("mlp.gate_proj", intermediate, hidden),
            ("mlp.up_proj", intermediate, hidden),
            ("mlp.down_proj", hidden, intermediate),
        ):
            tensors[f"{name}{part}.weight"] = weight(rows, columns)
        for norm in ("input_layernorm", "post_attention_layernorm"):
            tensors[f"{name}{norm}.weight"] = torch.ones(hidden)
    save_file(tensors, path / "model.safetensors")
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_act": "silu",
        "hidden_size": hidden,
        "intermediate_size": intermediate,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": key_heads,
        "vocab_size": vocabulary,
        "max_position_embeddings": 8192,
        "rms_norm_eps": 1e-5,
        "rope_theta": 100000.0,
        "tie_word_embeddings": True,
    }
    (path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return {}


def rows(job: dict[str, Any]) -> dict[str, Any]:
    """Seconds to read and check a file, to tokenise its rows, and to cut them into forests."""
    import luthier as lu
    from luthier.training.fit_data import encode_records

    path = Path(job["folder"]) / "rows.jsonl"
    words = ["spruce", "maple", "ebony", "cedar", "willow", "rosewood", "walnut", "pear", "bridge", "neck"]
    with path.open("w", encoding="utf-8") as stream:
        for i in range(job["file_rows"]):
            text = " ".join(words[(i * (k + 3) + k * k) % 10] for k in range(60))
            chat = [
                {"role": "system", "content": "You sort the parts of an instrument by the wood that they are made of."},
                {"role": "user", "content": f"{i}: {text}"},
                {"role": "assistant", "content": words[i % 10]},
            ]
            stream.write(json.dumps({"messages": chat}) + "\n")
    model = lu.load(job["model"], dtype=job["dtype"])
    clock = [time.perf_counter()]
    records = lu.read(path)
    clock.append(time.perf_counter())
    dataset = encode_records(records, model.tokenizer, 1024).dataset
    clock.append(time.perf_counter())
    sampler = _core.Sampler(len(dataset), 16, 0, True)
    for _ in range(sampler.steps_per_epoch):
        _core.forest_costs(model.decoder, dataset, sampler.next(), 4096, "lora")
    clock.append(time.perf_counter())
    seconds = dict(zip(("read", "encode", "pack"), (end - begin for begin, end in pairwise(clock))))
    return {"file_rows": job["file_rows"], **seconds}


if __name__ == "__main__":
    specification = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    task = {"make": make, "train": train, "rows": rows}[specification["task"]]
    Path(specification["result"]).write_text(json.dumps(task(specification)), encoding="utf-8")
