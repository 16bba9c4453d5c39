#include "luthier/data/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "luthier/base/error.h"

namespace luthier {
namespace {

std::vector<int64_t> epoch(Sampler& sampler) {
  std::vector<int64_t> all;
  for (int64_t i = 0; i < sampler.steps_per_epoch(); ++i) {
    for (int64_t index : sampler.next()) all.push_back(index);
  }
  return all;
}

std::vector<int64_t> counted(int64_t count) {
  std::vector<int64_t> all(count);
  std::iota(all.begin(), all.end(), 0);
  return all;
}

TEST(Sampler, InFileOrderStepsFollowEachOther) {
  Sampler sampler(5, 2, 0, false);
  EXPECT_EQ(sampler.steps_per_epoch(), 3);
  EXPECT_EQ(sampler.next(), (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(sampler.next(), (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(sampler.next(), (std::vector<int64_t>{4})) << "the last step takes what is left";
  EXPECT_EQ(sampler.state().epoch, 1);
  EXPECT_EQ(sampler.next(), (std::vector<int64_t>{0, 1}));
}

TEST(Sampler, EveryShuffledEpochIsAPermutationOfItsOwn) {
  Sampler sampler(101, 8, 3, true);
  std::set<std::vector<int64_t>> orders{counted(101)};
  for (int i = 0; i < 4; ++i) {
    std::vector<int64_t> order = epoch(sampler);
    EXPECT_TRUE(orders.insert(order).second) << "an order came twice";
    std::sort(order.begin(), order.end());
    EXPECT_EQ(order, counted(101));
  }
}

TEST(Sampler, TheSeedDecidesTheOrder) {
  Sampler a(50, 7, 1, true), same(50, 7, 1, true), other(50, 7, 2, true);
  const std::vector<int64_t> order = epoch(a);
  EXPECT_EQ(epoch(same), order);
  EXPECT_NE(epoch(other), order);
}

TEST(Sampler, EachPlaceIsTakenByEachExampleAboutAsOften) {
  Sampler sampler(4, 4, 9, true);
  int count[4][4] = {};
  for (int i = 0; i < 4000; ++i) {
    const std::vector<int64_t> order = sampler.next();
    for (int place = 0; place < 4; ++place) ++count[place][order[place]];
  }
  for (auto& place : count) {
    for (int times : place) EXPECT_NEAR(times, 1000, 150);
  }
}

TEST(Sampler, AnyStepCanBeResumed) {
  Sampler whole(23, 4, 5, true);
  for (int i = 0; i < 20; ++i) {
    Sampler resumed(23, 4, 5, true);
    resumed.restore(whole.state());
    Sampler whole_copy = whole;
    for (int j = 0; j < 9; ++j) EXPECT_EQ(resumed.next(), whole_copy.next());
    whole.next();
  }
}

TEST(Sampler, WhatDoesNotFitIsRefused) {
  EXPECT_THROW(Sampler(0, 1, 0, false), InputError);
  EXPECT_THROW(Sampler(3, 0, 0, false), InputError);
  Sampler sampler(3, 2, 0, false);
  EXPECT_THROW(sampler.restore({0, 3}), InputError);
  EXPECT_THROW(sampler.restore({-1, 0}), InputError);
  EXPECT_THROW(sampler.restore({0, -2}), InputError);
}

}  // namespace
}  // namespace luthier
