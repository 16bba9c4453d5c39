#include "luthier/adapter/token_rows.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <utility>

#include "luthier/base/error.h"

namespace luthier {
namespace {

constexpr const char* kEmbedding = "model.embed_tokens.weight";
constexpr const char* kHead = "lm_head.weight";
constexpr int64_t kRowsAtOnce = 4096;  // that are widened to double

/// The matrices that have a row for each token, by their names.
std::vector<std::pair<const char*, Weight*>> token_matrices(Decoder& decoder) {
  std::vector<std::pair<const char*, Weight*>> found{{kEmbedding, &decoder.embedding}};
  if (!decoder.config.tied_head) found.emplace_back(kHead, &decoder.head);
  return found;
}

/// A view of the rows of the tokens.
at::Tensor rows_of(const Weight& matrix, const TokenRange& tokens) {
  return matrix.value.narrow(0, tokens.first, tokens.count);
}

at::Tensor mean_row(const at::Tensor& matrix, int64_t rows) {
  at::Tensor sum = at::zeros({matrix.size(1)}, at::kDouble);
  for (int64_t row = 0; row < rows; row += kRowsAtOnce) {
    sum.add_(matrix.narrow(0, row, std::min(kRowsAtOnce, rows - row)).to(at::kDouble).sum(0));
  }
  return sum.div_(static_cast<double>(rows));
}

/// The matrix with at least this many rows; those that are new are not set.
at::Tensor with_rows(const at::Tensor& matrix, int64_t rows) {
  if (matrix.size(0) >= rows) return matrix;
  at::Tensor longer = at::empty({rows, matrix.size(1)}, matrix.options());
  longer.narrow(0, 0, matrix.size(0)).copy_(matrix);
  return longer;
}

void check_tokens(const Decoder& decoder, const TokenRange& tokens, int64_t most) {
  if (tokens.count < 1) fail_input("the number of tokens is ", tokens.count, ": it must be at least 1");
  if (tokens.first < 1 || tokens.first > most) {
    fail_input("the first token is ", tokens.first, ": the model has ", decoder.config.vocabulary_size);
  }
}

}  // namespace

void add_tokens(Decoder& decoder, const TokenRange& tokens) {
  check_tokens(decoder, tokens, decoder.config.vocabulary_size);
  for (auto& [name, matrix] : token_matrices(decoder)) {
    const at::Tensor mean = mean_row(matrix->value, tokens.first);
    matrix->value = with_rows(matrix->value, tokens.end());
    rows_of(*matrix, tokens).copy_(mean);
  }
  if (decoder.config.tied_head) decoder.head.value = decoder.embedding.value;
  decoder.config.vocabulary_size = decoder.embedding.value.size(0);
}

std::string token_rows_name(const std::string& weight) {
  const std::string module = weight.ends_with(".weight") ? weight.substr(0, weight.size() - 7) : weight;
  return concat("base_model.model.", module, ".token_adapter.trainable_tokens_delta");
}

std::vector<Parameter> attach_token_rows(Decoder& decoder, const TokenRange& tokens) {
  check_tokens(decoder, tokens, decoder.config.vocabulary_size - tokens.count);
  std::vector<Parameter> parameters;
  for (const auto& [name, matrix] : token_matrices(decoder)) {
    const at::Tensor rows = rows_of(*matrix, tokens);
    const at::Tensor master = rows.to(at::kFloat, /*non_blocking=*/false, /*copy=*/true).contiguous();
    parameters.push_back({token_rows_name(name), master, {}, 1, rows, 1});
  }
  decoder.trained_tokens = tokens;
  return parameters;
}

std::vector<Parameter> attach_token_rows(Decoder& decoder, const TokenRange& tokens,
                                         const std::map<std::string, at::Tensor>& tensors) {
  check_tokens(decoder, tokens, decoder.config.vocabulary_size - tokens.count);
  const std::vector<int64_t> shape{tokens.count, decoder.config.hidden_size};
  size_t expected = 0;
  for (const auto& [name, matrix] : token_matrices(decoder)) {
    const std::string wanted = token_rows_name(name);
    const auto found = tensors.find(wanted);
    if (found == tensors.end()) fail_input("the adapter does not fit the model: ", wanted, " is missing");
    if (found->second.sizes() != at::IntArrayRef(shape)) {
      fail_input("the adapter does not fit the model: ", wanted, " has shape ", found->second.sizes(), " and not ",
                 at::IntArrayRef(shape));
    }
    ++expected;
  }
  if (tensors.size() > expected) {
    fail_input("the adapter does not fit the model: it has rows for a head of its own, and the model's is tied");
  }
  std::vector<Parameter> parameters = attach_token_rows(decoder, tokens);
  set_values(parameters, tensors);
  return parameters;
}

void detach_token_rows(Decoder& decoder) {
  if (decoder.trained_tokens.count == 0) return;
  decoder.trained_tokens = {};
  for (Weight* matrix : {&decoder.embedding, &decoder.head}) {
    matrix->gradient = at::Tensor();
    matrix->gradient_begin = 0;
  }
}

void train_token_rows(Decoder& decoder, std::vector<Parameter>& parameters, bool train) {
  const TokenRange& tokens = decoder.trained_tokens;
  if (tokens.count == 0) return;
  for (auto& [name, matrix] : token_matrices(decoder)) {
    matrix->gradient = train ? at::zeros({tokens.count, decoder.config.hidden_size}, at::kFloat) : at::Tensor();
    matrix->gradient_begin = train ? tokens.first : 0;
    for (Parameter& parameter : parameters) {
      if (parameter.name == token_rows_name(name)) parameter.gradient = matrix->gradient;
    }
  }
  if (!decoder.config.tied_head) return;
  decoder.head.gradient = decoder.embedding.gradient;
  decoder.head.gradient_begin = decoder.embedding.gradient_begin;
}

}  // namespace luthier
