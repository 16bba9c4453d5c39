// LoRA (Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", 2021): W + s B A with frozen W.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "luthier/model/parameter.h"

namespace luthier {

struct LoraSettings {
  int64_t rank = 16;
  double alpha = 32;
  /// Names of the layers that get an update: "all-linear", or a projection ("q_proj") or any longer end of a full name
  /// ("layers.3.mlp.up_proj").
  std::vector<std::string> targets{"all-linear"};
  /// s = alpha / sqrt(rank) (Kalajdzievski, "A Rank Stabilization Scaling Factor", 2023) instead of alpha / rank.
  bool rank_stabilised = false;

  double scale() const;
};

/// Attaches new updates: A uniform in +-1/sqrt(in) from the seed, B zero, as PEFT starts. Any earlier updates go.
/// Returns the parameters, named as in PEFT's files, A [rank, in] and B [out, rank] of each layer. Throws InputError
/// when a target names no layer, with the names there are, or the rank is below 1.
std::vector<Parameter> attach_lora(Decoder& decoder, const LoraSettings& settings, uint64_t seed);

/// Attaches the updates of a PEFT file. Throws InputError that lists tensors which are missing, left over or of the
/// wrong shape; then nothing is attached.
std::vector<Parameter> attach_lora(Decoder& decoder, const LoraSettings& settings,
                                   const std::map<std::string, at::Tensor>& tensors);

/// Takes all updates away.
void detach_updates(Decoder& decoder);

/// Gives the updates gradients, zero, and sets the views of `parameters` to them; or takes the gradients away.
void train_lora(Decoder& decoder, std::vector<Parameter>& parameters, bool train);

/// The name of a projection's matrix in a PEFT file: "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight".
std::string peft_name(const std::string& projection, char matrix);

/// W + s B A in fp32, from the masters; rows of added tokens among them stand in their place. `weight`: a name of
/// named_weights(); returns the plain weight where there is no update.
at::Tensor merged_weight(Decoder& decoder, const std::vector<Parameter>& parameters, const LoraSettings& settings,
                         const std::string& weight);

}  // namespace luthier
