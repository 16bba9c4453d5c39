// Rows of the embedding, and of a head of its own, for tokens that are added to a vocabulary; an adapter trains them
// beside its low-rank updates. PEFT calls them trainable tokens.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

#include "luthier/model/parameter.h"

namespace luthier {

/// Gives the tokens their rows: each is the mean of all rows before them (Hewitt, "Initializing New Word Embeddings for
/// Pretrained Language Models", 2021), rounded to the decoder's type. The matrices grow where they have too few rows;
/// rows that a file has to spare behind its vocabulary are used first. Throws InputError when there are no tokens, or
/// the first is not among the rows there are nor the one behind them.
void add_tokens(Decoder& decoder, const TokenRange& tokens);

/// The name of a matrix's trained rows in a PEFT file, from that of the matrix ("model.embed_tokens.weight"):
/// "base_model.model.model.embed_tokens.token_adapter.trainable_tokens_delta". They are values, not differences.
std::string token_rows_name(const std::string& weight);

/// Marks the tokens' rows as trained beside an adapter. Returns their parameters [count, hidden], named as in PEFT's
/// files: the embedding's, and the head's where that is not tied. Masters start as what the decoder holds. Throws
/// InputError when the decoder lacks the rows.
std::vector<Parameter> attach_token_rows(Decoder& decoder, const TokenRange& tokens);

/// The same with the values of a PEFT file, which the decoder then holds. Throws InputError that names a tensor that is
/// missing, left over or of the wrong shape; then nothing is changed.
std::vector<Parameter> attach_token_rows(Decoder& decoder, const TokenRange& tokens,
                                         const std::map<std::string, at::Tensor>& tensors);

/// Frees the rows from training; they keep their values.
void detach_token_rows(Decoder& decoder);

/// Gives the rows that are attached gradients, zero, and sets the views of those of `parameters` that attach_token_rows
/// made; or takes the gradients away. A tied matrix has one gradient, to which embedding and head add.
void train_token_rows(Decoder& decoder, std::vector<Parameter>& parameters, bool train);

}  // namespace luthier
