#include "luthier/train/objective.h"

#include <gtest/gtest.h>

#include "../model/tiny_decoder.h"

namespace luthier {
namespace {

TEST(SupervisedObjective, IsTheWeightedMeanAndItsGradient) {
  const Example example{0, {1, 2, 3, 4}, {0, 1, 0.5, 2}, {0, 0, 0, 1}};
  const Example* rows[] = {&example};
  const Batch batch = make_batch(rows);
  const at::Tensor log_probs = testing::uniform({3}, 1, 1, -2);
  const double total = 10;
  const Outcome outcome = SupervisedObjective().evaluate(log_probs, batch, total);
  const float weights[] = {1, 0.5, 2};
  double loss = 0;
  for (int i = 0; i < 3; ++i) {
    loss -= weights[i] * log_probs[i].item<double>() / total;
    EXPECT_FLOAT_EQ(outcome.d_log_probs[i].item<float>(), static_cast<float>(-weights[i] / total));
  }
  EXPECT_NEAR(outcome.loss, loss, 1e-9);
}

}  // namespace
}  // namespace luthier
