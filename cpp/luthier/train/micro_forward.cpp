#include "luthier/train/micro_forward.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/empty_like.h>

#include "luthier/ops/token_logprob.h"

namespace luthier {

MicroForward::MicroForward(const Decoder& decoder, DecoderPass& pass, const Batch& batch, bool keep)
    : states(batch),
      input(make_forest_input(batch, states.rows, decoder.config)),
      hidden(states.gather(pass.forward(input, keep))),
      log_probs(at::empty({batch.target_count()}, at::kFloat)),
      log_sum_exp(at::empty_like(log_probs)) {
  token_logprob_forward(hidden, decoder.head.value, batch.targets, decoder.config.logit_map(), log_probs, log_sum_exp);
}

}  // namespace luthier
