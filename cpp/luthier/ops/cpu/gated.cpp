#include "luthier/ops/cpu/gated.h"

#include <ATen/Parallel.h>

#include "luthier/ops/cpu/arithmetic.h"
#include "luthier/ops/cpu/types.h"

namespace luthier::cpu {
namespace {

// Both activations are x sigmoid(z(x)): SiLU with z = x, and the tanh form of GELU with
// z = 2 sqrt(2 / pi) (x + 0.044715 x^3), because (1 + tanh(u)) / 2 = sigmoid(2 u).
constexpr float kRoot = 1.5957691216057308f, kCubic = 0.044715f;

struct Point {
  float value, slope;
};

template <Activation kActivation>
LUTHIER_INLINE float sigmoid_of(float x) {
  const float z = kActivation == Activation::silu ? x : kRoot * (x + kCubic * x * x * x);
  return 1 / (1 + exponential(-z));
}

template <Activation kActivation>
LUTHIER_INLINE Point evaluate(float x) {
  const float s = sigmoid_of<kActivation>(x);
  const float z_slope = kActivation == Activation::silu ? 1 : kRoot * (1 + 3 * kCubic * x * x);
  // Far from zero the sigmoid is 0 or 1, and the growing slope of z must not meet it as 0 * infinity.
  const float bend = s * (1 - s);
  return {x * s, s + (bend > 1e-30f ? x * bend * z_slope : 0.0f * x)};
}

template <Activation kActivation, class T>
LUTHIER_INLINE void forward_row(const T* gate, const T* up, int64_t inner, T* out) {
#pragma omp simd
  for (int64_t i = 0; i < inner; ++i) {
    const float x = load(gate + i);
    store(out + i, x * sigmoid_of<kActivation>(x) * load(up + i));
  }
}

template <Activation kActivation, class T>
LUTHIER_INLINE void backward_row(const T* gate, const T* up, const T* d_out, int64_t inner, T* d_gate, T* d_up) {
#pragma omp simd
  for (int64_t i = 0; i < inner; ++i) {
    const Point point = evaluate<kActivation>(load(gate + i));
    const float gradient = load(d_out + i);
    store(d_gate + i, gradient * load(up + i) * point.slope);
    store(d_up + i, gradient * point.value);
  }
}

template <Activation kActivation, class T>
LUTHIER_INLINE void backward_row(const T* gate, const T* up, const T* d_out, int64_t inner, T* d_gate, T* d_up,
                                 T* out) {
#pragma omp simd
  for (int64_t i = 0; i < inner; ++i) {
    const Point point = evaluate<kActivation>(load(gate + i));
    const float gradient = load(d_out + i), factor = load(up + i);
    store(d_gate + i, gradient * factor * point.slope);
    store(d_up + i, gradient * point.value);
    store(out + i, point.value * factor);
  }
}

template <Activation kActivation>
void forward(const at::Tensor& gate_up, at::Tensor& out) {
  const int64_t inner = out.size(1), source_stride = gate_up.stride(0), out_stride = out.stride(0);
  with_type(out, [&]<class T>(T*) {
    const T* source = gate_up.const_data_ptr<T>();
    T* target = out.mutable_data_ptr<T>();
    at::parallel_for(0, out.size(0), row_grain(inner), [&](int64_t begin, int64_t end) {
      vectorized([&]() LUTHIER_INLINE_LAMBDA {
        for (int64_t t = begin; t < end; ++t) {
          const T* gate = source + t * source_stride;
          forward_row<kActivation>(gate, gate + inner, inner, target + t * out_stride);
        }
      });
    });
  });
}

template <Activation kActivation>
void backward(const at::Tensor& gate_up, const at::Tensor& d_out, at::Tensor& d_gate_up, at::Tensor& out) {
  const int64_t inner = d_out.size(1), source_stride = gate_up.stride(0), d_out_stride = d_out.stride(0);
  const int64_t target_stride = d_gate_up.stride(0), out_stride = out.defined() ? out.stride(0) : 0;
  with_type(d_out, [&]<class T>(T*) {
    const T *source = gate_up.const_data_ptr<T>(), *gradient = d_out.const_data_ptr<T>();
    T* target = d_gate_up.mutable_data_ptr<T>();
    T* product = out.defined() ? out.mutable_data_ptr<T>() : nullptr;
    at::parallel_for(0, d_out.size(0), row_grain(inner), [&](int64_t begin, int64_t end) {
      vectorized([&]() LUTHIER_INLINE_LAMBDA {
        for (int64_t t = begin; t < end; ++t) {
          const T *gate = source + t * source_stride, *d_row = gradient + t * d_out_stride;
          T* d_gate = target + t * target_stride;
          if (product == nullptr) {
            backward_row<kActivation>(gate, gate + inner, d_row, inner, d_gate, d_gate + inner);
          } else {
            backward_row<kActivation>(gate, gate + inner, d_row, inner, d_gate, d_gate + inner,
                                      product + t * out_stride);
          }
        }
      });
    });
  });
}

}  // namespace

void gated_forward(const at::Tensor& gate_up, Activation activation, at::Tensor& out) {
  if (activation == Activation::silu) {
    forward<Activation::silu>(gate_up, out);
  } else {
    forward<Activation::gelu_tanh>(gate_up, out);
  }
}

void gated_backward(const at::Tensor& gate_up, const at::Tensor& d_out, Activation activation, at::Tensor& d_gate_up,
                    at::Tensor out) {
  if (activation == Activation::silu) {
    backward<Activation::silu>(gate_up, d_out, d_gate_up, out);
  } else {
    backward<Activation::gelu_tanh>(gate_up, d_out, d_gate_up, out);
  }
}

}  // namespace luthier::cpu
