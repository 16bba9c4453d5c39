#include "luthier/train/step_cost.h"

#include <algorithm>
#include <map>

#include "luthier/model/forest_input.h"
#include "luthier/ops/attention.h"
#include "luthier/ops/instruction_set.h"
#include "luthier/ops/token_logprob.h"
#include "luthier/train/micro_batches.h"
#include "luthier/train/target_states.h"

namespace luthier {
namespace {

constexpr int64_t kFloat = sizeof(float);

int64_t bytes_of(const at::Tensor& tensor) { return tensor.defined() ? static_cast<int64_t>(tensor.nbytes()) : 0; }

int64_t update_count(const LinearLayer& layer) {
  int64_t count = 0;
  for (const LinearPart& part : layer.parts) count += part.rank() * (layer.in + part.end - part.begin);
  return count;
}

/// Numbers in the rows of added tokens that an adapter trains.
int64_t token_row_count(const Decoder& decoder) {
  const DecoderConfig& c = decoder.config;
  return decoder.trained_tokens.count * c.hidden_size * (c.tied_head ? 1 : 2);
}

std::vector<const LinearLayer*> linears_of(const DecoderLayer& layer) {
  return {&layer.query_key_value, &layer.output, &layer.gate_up, &layer.down};
}

/// Work of one row in the products of a layer.
struct RowWork {
  double forward = 0, backward = 0;
};

RowWork row_work(const LinearLayer& layer, bool full) {
  const double base = 2.0 * static_cast<double>(layer.in * layer.out);
  const double update = 2.0 * static_cast<double>(update_count(layer));
  return {base + update, full ? 2 * base : base + 2 * update};
}

void count_work(const Decoder& decoder, double asked, const std::vector<AttentionPlan>& plans, bool full,
                ForestCost& cost) {
  const DecoderConfig& c = decoder.config;
  const auto rows = static_cast<double>(cost.rows);
  const auto trained = [&](const DecoderLayer& layer) {
    const std::vector<const LinearLayer*> linears = linears_of(layer);
    return full || std::any_of(linears.begin(), linears.end(), [](const auto* linear) { return linear->spare > 0; });
  };
  std::map<int32_t, double> pairs;  // of a query and a key that it sees, by the window of the layer
  for (const AttentionPlan& plan : plans) pairs[plan.shape.window] = static_cast<double>(attention_pairs(plan));
  const int64_t rows_trained = decoder.trained_tokens.count;
  bool reached = rows_trained > 0;  // by backward, from the lowest trained layer on
  for (size_t i = 0; i < decoder.layers.size(); ++i) {
    const DecoderLayer& layer = decoder.layers[i];
    reached = reached || trained(layer);
    const bool last = i + 1 == decoder.layers.size();
    for (const LinearLayer* linear : linears_of(layer)) {
      // Behind the keys and values the last layer computes only what is asked for.
      const double keys =
          linear == &layer.query_key_value ? 2.0 * c.key_columns() / static_cast<double>(linear->out) : 0;
      const double count = last ? keys * rows + (1 - keys) * asked : rows;
      const RowWork work = row_work(*linear, full);
      cost.forward_flops += count * work.forward;
      if (reached) cost.backward_flops += count * work.backward;
    }
    // Two products of each query with each key forward, and five backward.
    const double seen = pairs[c.layer(static_cast<int64_t>(i)).window];
    const double product = 2.0 * (last ? asked / rows : 1) * seen * static_cast<double>(c.query_columns());
    cost.forward_flops += 2 * product;
    if (reached) cost.backward_flops += 5 * product;
  }
  const double head = 2.0 * static_cast<double>(cost.targets) * static_cast<double>(c.vocabulary_size * c.hidden_size);
  cost.forward_flops += head;
  cost.backward_flops += (full ? 3 : 2) * head;
  if (!full) cost.backward_flops += 2.0 * static_cast<double>(cost.targets * rows_trained * c.hidden_size);
}

/// What products hold for a while where there are no bf16 instructions and operands are widened to fp32.
int64_t widened_bytes(const Decoder& decoder, int64_t rows) {
  if (decoder.type() == at::kFloat || instruction_set() >= InstructionSet::avx512) return 0;
  int64_t most = 0;
  for (const LinearLayer* layer : linears_of(decoder.layers.front())) {
    most = std::max(most, rows * (layer->in + layer->spare + 2 * layer->out) + 2 * layer->in * layer->out);
  }
  return most * kFloat;
}

int64_t scratch_bytes(const Decoder& decoder, const Batch& batch, const std::vector<AttentionPlan>& plans,
                      const TargetStates& states, bool full) {
  const DecoderConfig& c = decoder.config;
  const int64_t asked = static_cast<int64_t>(states.rows.size()), targets = batch.target_count();
  const int64_t size = c10::elementSize(decoder.type());
  int64_t attention = 0;
  for (const AttentionPlan& plan : plans) {
    attention = std::max(attention, attention_scratch_bytes(plan, decoder.type()));
  }
  const bool head_trained = full || decoder.trained_tokens.count > 0;
  const int64_t head = token_logprob_scratch_bytes(targets, c.hidden_size, c.vocabulary_size, decoder.type(),
                                                   c.logit_map(), head_trained);
  // At the targets: their states and the gradient of these; where rows have several targets, the sums in fp32.
  const int64_t gathered = states.identity ? 1 : 2;
  const int64_t own = targets * c.hidden_size * (gathered * size + (states.identity ? 0 : kFloat)) +
                      asked * c.hidden_size * (size + (states.identity ? 0 : kFloat));
  return std::max({attention, head, widened_bytes(decoder, batch.rows())}) + own;
}

}  // namespace

std::vector<ForestCost> forest_costs(Decoder& decoder, const Dataset& dataset, const std::vector<int64_t>& examples,
                                     int64_t micro_tokens, bool full) {
  std::vector<ForestCost> costs;
  for (const MicroBatch& micro : make_micro_batches(dataset, examples, micro_tokens)) {
    const TargetStates states(micro.batch);
    ForestCost cost;
    for (int64_t index : micro.examples) cost.tokens += static_cast<int64_t>(dataset.example(index).tokens.size());
    cost.rows = micro.batch.rows();
    cost.targets = micro.batch.target_count();
    const std::vector<AttentionPlan> plans = make_forest_input(micro.batch, {}, decoder.config).plans;
    cost.scratch_bytes = scratch_bytes(decoder, micro.batch, plans, states, full);
    count_work(decoder, static_cast<double>(states.rows.size()), plans, full, cost);
    costs.push_back(cost);
  }
  return costs;
}

int64_t trained_count(Decoder& decoder, bool full) {
  int64_t count = 0;
  if (full) {
    for (const NamedWeight& weight : named_weights(decoder)) count += weight.value.numel();
  } else {
    for (const PlacedLinear& placed : linear_layers(decoder)) count += update_count(*placed.layer);
    count += token_row_count(decoder);
  }
  return count;
}

int64_t trainer_bytes(Decoder& decoder, bool full) {
  const int64_t moments = 2 * trained_count(decoder, full) * kFloat;
  int64_t gradients = 0, masters = 0;
  if (full) {
    for (const NamedWeight& weight : named_weights(decoder)) {
      gradients += weight.value.numel() * kFloat;
      const bool shared = weight.value.scalar_type() == at::kFloat && weight.value.is_contiguous();
      masters += shared ? 0 : weight.value.numel() * kFloat;
    }
  } else {
    for (const PlacedLinear& placed : linear_layers(decoder)) {
      gradients += placed.layer->spare * (placed.layer->in + placed.layer->out) * kFloat;
    }
    gradients += token_row_count(decoder) * kFloat;
  }
  return moments + gradients + masters;
}

int64_t weight_bytes(Decoder& decoder) {
  int64_t bytes = bytes_of(decoder.embedding.value) + bytes_of(decoder.final_norm.value);
  if (!decoder.config.tied_head) bytes += bytes_of(decoder.head.value);
  bytes += token_row_count(decoder) * kFloat;  // the masters of an adapter's rows
  for (const DecoderLayer& layer : decoder.layers) {
    for (const PlacedNorm& norm : layer_norms(decoder.config)) bytes += bytes_of((layer.*norm.weight).value);
    for (const LinearLayer* linear : linears_of(layer)) {
      // The weight and the update's two matrices are views of one memory.
      bytes += linear->stacked.size(0) * linear->stacked.stride(0) * c10::elementSize(linear->stacked.scalar_type());
      bytes += bytes_of(linear->bias);
      bytes += update_count(*linear) * kFloat;
    }
  }
  return bytes;
}

}  // namespace luthier
