"""How many floating-point operations a training step needs, whatever a trainer really spends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def step_flops(config: dict[str, Any], lengths: Sequence[int], supervised: Sequence[int], trained: bool) -> float:
    """The operations of a step on rows that share nothing; `trained`: all weights are, not adapters beside them.

    `config` is the model's config.json, `lengths` and `supervised` the tokens and supervised tokens of each row.
    A product by a frozen weight costs 2 forward and 2 backward for each of its parameters and each token, by a trained
    one 4 backward; causal attention 2 L^2 d forward and 4 L^2 d backward for a row of L tokens and query width d in
    each layer; the head is a product at the supervised tokens only. Adapters, norms and the softmax are left out.
    """
    hidden, heads = config["hidden_size"], config["num_attention_heads"]
    head_size = config.get("head_dim") or hidden // heads
    queries, keys = heads * head_size, config["num_key_value_heads"] * head_size
    layer = 2 * hidden * queries + 2 * hidden * keys + 3 * hidden * config["intermediate_size"]
    layers = config["num_hidden_layers"]
    per_parameter = 6.0 if trained else 4.0
    products = per_parameter * layers * layer * sum(lengths)
    attention = 6.0 * layers * queries * sum(length**2 for length in lengths)
    head = per_parameter * config["vocab_size"] * hidden * sum(supervised)
    return float(products + attention + head)
