// A sentencepiece model (a `.model` file): text to token ids and back.
//
//   auto model = SentencePieceModel::load(file.bytes(), "tokenizer.model");
//   std::vector<int32_t> ids = model.encode("some text");
//   std::string text = model.decode(ids);
//
// Spellings of control pieces in the text are text like any other: encode never yields a control piece.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace luthier {

/// What a piece of the vocabulary is; each piece is exactly one of these. User-defined symbols count as normal: text
/// that spells them yields them.
enum class PieceType { kNormal, kUnknown, kControl, kUnused, kByte };

/// A piece of an encoded text, and the characters (Unicode code points) [begin, end) of the text that it stands for.
/// Of the byte pieces of a character only the last stands for it; the others, and what the model adds, for nothing:
/// their begin is their end.
struct EncodedPiece {
  int32_t id;
  int32_t begin;
  int32_t end;
};

class SentencePieceModel {
 public:
  /// Reads a serialised model. `name` (a file name) begins the messages.
  /// Throws InputError where the bytes are no model, or one with inconsistent pieces.
  static SentencePieceModel load(std::string_view bytes, const std::string& name);

  SentencePieceModel(SentencePieceModel&&) noexcept;
  SentencePieceModel& operator=(SentencePieceModel&&) noexcept;
  ~SentencePieceModel();

  /// The ids of UTF-8 text, without begin and end tokens. Throws InputError where the text cannot be encoded.
  std::vector<int32_t> encode(std::string_view text) const;

  /// As encode, with the place in the text that each piece stands for.
  std::vector<EncodedPiece> encode_pieces(std::string_view text) const;

  /// The text of the ids; control pieces write nothing. Throws InputError for an id outside the vocabulary.
  std::string decode(const std::vector<int32_t>& ids) const;

  /// The number of pieces.
  int32_t size() const;

  /// How the vocabulary spells a piece. Throws InputError for an id outside the vocabulary.
  std::string piece(int32_t id) const;

  /// The id of a piece as the vocabulary spells it, or nothing where there is none.
  std::optional<int32_t> id(std::string_view piece) const;

  /// The piece's log-probability or merge rank. Throws InputError for an id outside the vocabulary.
  float score(int32_t id) const;

  /// Throws InputError for an id outside the vocabulary.
  PieceType type(int32_t id) const;

  /// The special ids that the model names, or nothing where it has none.
  std::optional<int32_t> unknown_id() const;
  std::optional<int32_t> bos_id() const;
  std::optional<int32_t> eos_id() const;
  std::optional<int32_t> pad_id() const;

 private:
  struct Implementation;
  explicit SentencePieceModel(std::unique_ptr<Implementation> implementation);
  void check_id(int32_t id) const;
  std::unique_ptr<Implementation> implementation_;
};

}  // namespace luthier
