// A linear layer as the decoder holds it: one weight matrix for projections that read the same input, with room for a
// low-rank update beside it.
//
// The update is computed in the same product as the weight. The input x has `spare` columns to its right, which get
// u = x down'; the weight has `spare` columns to its right, which hold the update's `up`. Then [x | u] [W | up]' is the
// layer's output with the update added, at the speed of a single large product. Backward does the same: the output's
// gradient has `spare` columns to its right, which get v = d_out up, and with `down` below the weight, [d_out | v]
// [W ; down] is the input's gradient.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace luthier {

/// Rows [begin, end) of a layer's weight, a projection that has a name of its own in files ("q_proj").
struct LinearPart {
  std::string name;
  int64_t begin = 0, end = 0;
  int64_t rank_begin = 0, rank_end = 0;  // its columns of the low-rank update; equal: none
  int64_t rank() const { return rank_end - rank_begin; }
};

struct LinearLayer {
  int64_t in = 0, out = 0;
  int64_t spare = 0;              // columns of the low-rank update, all parts together
  at::Tensor weight;              // [out, in + spare]
  at::Tensor bias;                // [out], or undefined
  std::vector<LinearPart> parts;  // cover [0, out) in order
  at::Tensor down;                // [spare, in], of the weight's type; undefined without an update
  at::Tensor stacked;             // [out + spare, in]: the weight's first columns, below them down; one memory for all
  // Gradients, fp32, added to by backward; undefined for what is frozen.
  at::Tensor d_weight;  // [out, in]
  at::Tensor d_bias;    // [out]
  at::Tensor d_down;    // [spare, in]
  at::Tensor d_up;      // [out, spare]; only the blocks of a part's own columns are filled

  at::Tensor base() const;                      // [out, in], a view
  at::Tensor up(const LinearPart& part) const;  // [rows of the part, its rank], a view
  bool trained() const { return d_weight.defined() || d_down.defined(); }
};

/// A layer without an update. weight [out, in]; parts are (name, rows) in the order of the rows.
LinearLayer make_linear_layer(at::Tensor weight, at::Tensor bias,
                              const std::vector<std::pair<std::string, int64_t>>& parts);

/// Gives the layer room for an update with the given rank per part (0: none), zero for now, or takes it away (all ranks
/// 0). Copies the weight once.
void resize_update(LinearLayer& layer, const std::vector<int64_t>& ranks);

/// Fills the spare columns of x [T, in + spare] from the others: u = x down'.
void linear_layer_tail(const LinearLayer& layer, at::Tensor& x);

/// out [T, rows] = the outputs [begin, end) of the layer for x [T, in + spare], whose spare columns are filled.
void linear_layer_product(const LinearLayer& layer, const at::Tensor& x, int64_t begin, int64_t end, at::Tensor& out);

/// The parts [first, last) of a layer, and the gradient of their outputs: what backward works on.
struct LinearBackward {
  LinearLayer& layer;
  size_t first, last;
  at::Tensor d_out;   // [T, rows of these parts]
  at::Tensor v;       // [T, spare] scratch: gets d_out up for these parts
  at::Tensor joined;  // [T, out + spare]: d_out and v where they stand side by side, for all parts; else undefined
};

/// For all parts, from a buffer [T, out + spare] whose first columns are the gradient of the outputs.
LinearBackward whole_backward(LinearLayer& layer, const at::Tensor& joined);

/// v = d_out up, and d_x [T, in] = d_out W + v down, added to d_x when accumulate. Computes v alone if d_x is
/// undefined.
void linear_layer_backward_input(LinearBackward& backward, at::Tensor d_x, bool accumulate);

/// Adds to the layer's gradients. x [T, in + spare] as forward left it. Needs v: call linear_layer_backward_input
/// first.
void linear_layer_backward_weight(LinearBackward& backward, const at::Tensor& x);

}  // namespace luthier
