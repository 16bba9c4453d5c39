#include "luthier/train/step_cost.h"

#include <gtest/gtest.h>

#include <set>

#include "../model/tiny_decoder.h"
#include "all_examples.h"
#include "luthier/adapter/lora.h"
#include "luthier/adapter/token_rows.h"
#include "luthier/train/trainer.h"

namespace luthier {
namespace {

using testing::all;
using testing::random_tokens;
using testing::tiny_decoder;

// Six rows under one prefix of 20 tokens, each with 4 tokens of its own, of which the last two are supervised.
Dataset make_dataset() {
  Dataset data(100);
  const std::vector<int32_t> prefix = random_tokens(20, 1, 22);
  for (int64_t row = 0; row < 6; ++row) {
    std::vector<int32_t> tokens = prefix;
    for (int32_t token : random_tokens(4, 10 + row, 22)) tokens.push_back(token);
    std::vector<float> weights(tokens.size(), 0);
    weights[tokens.size() - 2] = weights.back() = 1;
    data.add({row, tokens, weights, std::vector<uint8_t>(tokens.size(), 0)});
  }
  return data;
}

// Bytes of distinct memory.
class Storages {
 public:
  void add(const at::Tensor& tensor) {
    if (tensor.defined() && seen_.insert(tensor.storage().data()).second) bytes += tensor.storage().nbytes();
  }
  int64_t bytes = 0;

 private:
  std::set<const void*> seen_;
};

int64_t trainer_storage(Decoder& decoder, std::vector<Parameter>& parameters, int64_t before) {
  Trainer trainer(decoder, parameters, {});
  Storages found;
  for (const auto& [name, tensor] : trainer.optimizer().state()) {
    if (name != "step") found.add(tensor);
  }
  for (const Parameter& parameter : parameters) found.add(parameter.gradient);
  for (const NamedWeight& weight : named_weights(decoder)) found.add(weight.value);
  for (const PlacedLinear& placed : linear_layers(decoder)) found.add(placed.layer->down);
  return found.bytes - before;
}

TEST(StepCost, TheForestsAreThoseThatTheTrainerComputes) {
  Decoder decoder = tiny_decoder();
  std::vector<Parameter> parameters = attach_lora(decoder, {3, 6, {"all-linear"}, false}, 1);
  train_lora(decoder, parameters, true);
  Dataset data = make_dataset();
  for (const int64_t micro_tokens : {1000, 30, 1}) {
    TrainerSettings settings;
    settings.micro_tokens = micro_tokens;
    Trainer trainer(decoder, parameters, settings);
    const StepResult step = trainer.gradients(data, all(data));
    ForestCost sum;
    for (const ForestCost& cost : forest_costs(decoder, data, all(data), micro_tokens, /*full=*/false)) {
      EXPECT_TRUE(cost.rows <= micro_tokens || micro_tokens == 1) << cost.rows;
      EXPECT_GT(cost.scratch_bytes, 0);
      sum.tokens += cost.tokens;
      sum.rows += cost.rows;
      sum.targets += cost.targets;
    }
    EXPECT_EQ(sum.tokens, step.tokens);
    EXPECT_EQ(sum.rows, step.computed_tokens);
    EXPECT_EQ(sum.targets, step.supervised_tokens);
  }
}

TEST(StepCost, WorkIsThatOfTheProductsAttentionAndHead) {
  Decoder decoder = tiny_decoder();
  Dataset data(100);
  data.add({0, {1, 2, 3, 4}, {0, 0, 0, 1}, {0, 0, 0, 1}});  // three rows, of which the last has a target
  const ForestCost cost = forest_costs(decoder, data, {0}, 100, /*full=*/true).at(0);
  // Hidden size 12, 3 query heads and 1 key head of 4, intermediate size 14, 23 tokens in the vocabulary.
  const int64_t query = 12 * 12, key_value = 2 * 4 * 12, output = 12 * 12, feed_forward = 3 * 14 * 12, head = 23 * 12;
  const int64_t first = 3 * (query + key_value + output + feed_forward);
  const int64_t last = 3 * key_value + query + output + feed_forward;
  const int64_t first_pairs = 6, last_pairs = 2;  // the last layer's share is taken as that of its rows
  EXPECT_DOUBLE_EQ(cost.forward_flops, 2 * (first + last + head) + 2 * 2 * 12 * (first_pairs + last_pairs));
  EXPECT_DOUBLE_EQ(cost.backward_flops, 4 * (first + last) + 6 * head + 5 * 2 * 12 * (first_pairs + last_pairs));
}

TEST(StepCost, BackwardBelowTheLowestAdapterCostsNothing) {
  Decoder top = tiny_decoder(), whole = tiny_decoder();
  attach_lora(top, {3, 6, {"layers.1.mlp.down_proj"}, false}, 1);
  attach_lora(whole, {3, 6, {"down_proj"}, false}, 1);
  const Dataset data = make_dataset();
  const double above = forest_costs(top, data, all(data), 1000, false).at(0).backward_flops;
  const double both = forest_costs(whole, data, all(data), 1000, false).at(0).backward_flops;
  EXPECT_LT(above, 0.6 * both);
}

TEST(StepCost, TheTrainersBytesAreThoseThatItAllocates) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    for (const bool tied : {true, false}) {
      Decoder decoder = tiny_decoder(tied, true, type);
      const int64_t planned = trainer_bytes(decoder, /*full=*/true), weights = weight_bytes(decoder);
      train_all_weights(decoder, true);
      std::vector<Parameter> parameters = weight_parameters(decoder);
      EXPECT_EQ(trainer_storage(decoder, parameters, weights), planned);
      EXPECT_EQ(trained_count(decoder, true) * (type == at::kFloat ? 4 : 2), weights);
    }
    Decoder decoder = tiny_decoder(true, false, type);
    std::vector<Parameter> parameters = attach_lora(decoder, {3, 6, {"q_proj", "down_proj"}, false}, 1);
    const int64_t planned = trainer_bytes(decoder, /*full=*/false), weights = weight_bytes(decoder);
    train_lora(decoder, parameters, true);
    // The gradient of B has columns for the parts of a layer that have no update.
    EXPECT_EQ(trainer_storage(decoder, parameters, weights), planned);
    int64_t count = 0;
    for (const Parameter& parameter : parameters) count += parameter.master.numel();
    EXPECT_EQ(trained_count(decoder, false), count);
  }
}

TEST(StepCost, RowsOfTokensCountBesideAnAdapter) {
  for (const bool tied : {true, false}) {
    Decoder decoder = tiny_decoder(tied, false);
    std::vector<Parameter> parameters = attach_lora(decoder, {3, 6, {"q_proj"}, false}, 1);
    const int64_t count = trained_count(decoder, false), most = trainer_bytes(decoder, false);
    const int64_t rows = 4 * 12 * (tied ? 1 : 2);
    for (Parameter& added : attach_token_rows(decoder, {17, 4})) parameters.push_back(added);
    EXPECT_EQ(trained_count(decoder, false), count + rows);
    EXPECT_EQ(trainer_bytes(decoder, false), most + 3 * 4 * rows);
    const int64_t planned = trainer_bytes(decoder, false), weights = weight_bytes(decoder);
    train_lora(decoder, parameters, true);
    train_token_rows(decoder, parameters, true);
    EXPECT_EQ(trainer_storage(decoder, parameters, weights), planned);
  }
}

}  // namespace
}  // namespace luthier
