// The gated activation of the feed-forward block (Shazeer, "GLU Variants Improve Transformer", 2020).
#pragma once

#include <ATen/core/Tensor.h>

namespace luthier {

enum class Activation { silu, gelu_tanh };

/// out[t] = activation(gate[t]) * up[t]. gate_up [T, 2 I] holds gate in the first I columns and up in the rest;
/// out [T, I], rows may be strided. Computed in fp32, rounded once.
void gated_forward(const at::Tensor& gate_up, Activation activation, at::Tensor& out);

/// d_gate_up [T, 2 I] gets the gradient; it may be the same memory as gate_up. d_out [T, I]. If `out` is defined, it
/// gets gated_forward's result again, so that forward does not have to keep it.
void gated_backward(const at::Tensor& gate_up, const at::Tensor& d_out, Activation activation, at::Tensor& d_gate_up,
                    at::Tensor out);

}  // namespace luthier
