#include "luthier/ops/reference/token_logprob.h"

#include "luthier/ops/reference/precision.h"
#include "luthier/ops/row_product.h"

namespace luthier::reference {
namespace {

at::Tensor logits_of(const at::Tensor& hidden, const at::Tensor& head, const LogitMap& map) {
  const at::Tensor logits = row_product(widen(hidden), widen(head).t()) * map.scale;
  return map.soft_cap > 0 ? (logits / map.soft_cap).tanh() * map.soft_cap : logits;
}

}  // namespace

void token_logprob_forward(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                           const LogitMap& map, at::Tensor& log_probs, at::Tensor& log_sum_exp) {
  const at::Tensor logits = logits_of(hidden, head, map);
  const at::Tensor normaliser = logits.logsumexp(1);
  log_sum_exp.copy_(normaliser);
  log_probs.copy_(logits.gather(1, targets.to(at::kLong).unsqueeze(1)).squeeze(1) - normaliser);
}

void token_logprob_backward(const at::Tensor& hidden, const at::Tensor& head, const at::Tensor& targets,
                            const LogitMap& map, const at::Tensor& log_sum_exp, const at::Tensor& d_log_probs,
                            at::Tensor& d_hidden, at::Tensor d_head, int64_t first) {
  const at::Tensor gradient = d_log_probs.unsqueeze(1);
  const at::Tensor logits = logits_of(hidden, head, map);
  at::Tensor d_logits = (logits - log_sum_exp.unsqueeze(1)).exp() * -gradient;
  d_logits.scatter_add_(1, targets.to(at::kLong).unsqueeze(1), gradient);
  if (map.soft_cap > 0) d_logits.mul_(1 - (logits / map.soft_cap).square());  // tanh' = 1 - tanh^2
  d_hidden.copy_(row_product(d_logits, widen(head)) * map.scale);
  if (d_head.defined()) d_head.add_(d_logits.narrow(1, first, d_head.size(0)).t().mm(widen(hidden)), map.scale);
}

void logits_forward(const at::Tensor& hidden, const at::Tensor& head, const LogitMap& map, at::Tensor& logits) {
  logits.copy_(logits_of(hidden, head, map));
}

}  // namespace luthier::reference
