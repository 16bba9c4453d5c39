"""The other side of a comparison: Transformers and PEFT, in fp32, in bf16, or in double as the truth behind both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from our_side import Adapter, Row

HELD_LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


def relative_error(found: torch.Tensor, wanted: torch.Tensor) -> float:
    """The Frobenius norm of the difference over that of `wanted`, in double."""
    wanted = wanted.double()
    return float((found.double() - wanted).norm() / wanted.norm())


def largest_errors(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> list[tuple[float, str]]:
    """The relative errors of all tensors with their names, largest first. The names must be the same."""
    assert set(found) == set(wanted)
    return sorted(((relative_error(found[name], wanted[name]), name) for name in wanted), reverse=True)


def in_double(model: Any) -> Any:
    """A copy of a Transformers Llama that computes in double throughout: its norms are fp32 by themselves."""
    import copy
    import types

    def norm(self: Any, hidden: torch.Tensor) -> torch.Tensor:
        scale = torch.rsqrt(hidden.pow(2).mean(-1, keepdim=True) + self.variance_epsilon)
        return self.weight * hidden * scale

    model = copy.deepcopy(model).double()
    for module in model.modules():
        if type(module).__name__ == "LlamaRMSNorm":
            module.forward = types.MethodType(norm, module)
    return model


def with_adapter(model: Any, adapter: Adapter) -> Any:
    """PEFT's model over a Transformers model, with the matrices of `adapter`. The model is wrapped in place."""
    from peft import LoraConfig, get_peft_model

    targets = "all-linear" if adapter.targets == ["all-linear"] else adapter.targets
    config = LoraConfig(
        r=adapter.rank,
        lora_alpha=adapter.alpha,
        target_modules=targets,
        use_rslora=adapter.rslora,
        lora_dropout=0.0,
        task_type="CAUSAL_LM",
    )
    wrapped = get_peft_model(model, config)
    found = lora_parameters(wrapped)
    assert set(found) == set(adapter.tensors)
    with torch.no_grad():
        for name, parameter in found.items():
            parameter.copy_(adapter.tensors[name])
    return wrapped


def lora_parameters(model: Any) -> dict[str, torch.nn.Parameter]:
    """A PEFT model's matrices under the names of its files."""
    return {name.replace(".default", ""): value for name, value in model.named_parameters() if "lora_" in name}


def log_probability_sum(model: Any, row: Row) -> torch.Tensor:
    """The weighted sum of -log p over a row's targets.

    The logits are the model's; their softmax is taken in double. torch's fp32 log_softmax over a vocabulary of 49,152
    is off by some 8e-6, and gradients that largely cancel then by 4e-4: that would be what the comparison sees.
    """
    logits = model(input_ids=torch.tensor([row.tokens]), use_cache=False).logits[0, :-1].double()
    losses = torch.nn.functional.cross_entropy(logits, torch.tensor(row.tokens[1:]), reduction="none")
    return (losses * torch.tensor(row.weights[1:], dtype=torch.float64)).sum()


def backward(model: Any, rows: Sequence[Row]) -> float:
    """Adds the gradient of the weighted mean loss, row by row, and returns the loss."""
    total = sum(sum(row.weights[1:]) for row in rows)
    loss = 0.0
    for row in rows:
        part = log_probability_sum(model, row) / total
        part.backward()
        loss += part.item()
    return loss


def gradients(model: Any, rows: Sequence[Row], *, adapter: bool) -> tuple[float, dict[str, torch.Tensor]]:
    """The mean loss and the gradient of each adapter matrix, or of each weight."""
    model.train()
    for parameter in model.parameters():
        parameter.grad = None
        if not adapter:
            parameter.requires_grad_(True)
    loss = backward(model, rows)
    named = lora_parameters(model) if adapter else dict(model.named_parameters())
    found = {name: value.grad.clone() for name, value in named.items() if value.grad is not None}
    model.eval()
    return loss, found


def train(model: Any, steps: Sequence[Sequence[Row]], rates: Sequence[float], clip: float) -> list[float]:
    """The loss of each step of torch's AdamW over the matrices of a PEFT model, clipped by their global norm."""
    parameters = list(lora_parameters(model).values())
    optimizer = torch.optim.AdamW(parameters, lr=0.0, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    model.train()
    losses = []
    for rows, rate in zip(steps, rates, strict=True):
        optimizer.zero_grad()
        losses.append(backward(model, rows))
        torch.nn.utils.clip_grad_norm_(parameters, clip)
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
    return losses
