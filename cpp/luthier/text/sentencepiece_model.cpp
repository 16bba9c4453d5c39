#include "luthier/text/sentencepiece_model.h"

#include <sentencepiece_processor.h>

#include <exception>
#include <utility>

#include "luthier/base/error.h"

namespace luthier {
namespace {

std::optional<int32_t> named(int id) {
  if (id < 0) return std::nullopt;
  return id;
}

/// The library's message, in which a damaged file's own bytes may stand.
std::string printable(std::string_view message) {
  std::string text(message);
  for (char& character : text) {
    if (character < ' ' || character > '~') character = '?';
  }
  return text;
}

}  // namespace

struct SentencePieceModel::Implementation {
  sentencepiece::SentencePieceProcessor processor;
  std::string name;
};

SentencePieceModel::SentencePieceModel(std::unique_ptr<Implementation> implementation)
    : implementation_(std::move(implementation)) {}
SentencePieceModel::SentencePieceModel(SentencePieceModel&&) noexcept = default;
SentencePieceModel& SentencePieceModel::operator=(SentencePieceModel&&) noexcept = default;
SentencePieceModel::~SentencePieceModel() = default;

SentencePieceModel SentencePieceModel::load(std::string_view bytes, const std::string& name) {
  // The library takes an empty string for a model without pieces and fails only when it is used.
  if (bytes.empty()) fail_input(name, ": the sentencepiece model is empty");
  auto implementation = std::make_unique<Implementation>();
  implementation->name = name;
  try {
    const auto status = implementation->processor.LoadFromSerializedProto(bytes);
    if (!status.ok()) fail_input(name, ": not a sentencepiece model: ", printable(status.message()));
  } catch (const Error&) {
    throw;
  } catch (const std::exception& error) {
    fail_input(name, ": not a sentencepiece model: ", printable(error.what()));
  }
  if (implementation->processor.GetPieceSize() <= 0) fail_input(name, ": the sentencepiece model holds no pieces");
  return SentencePieceModel(std::move(implementation));
}

std::vector<int32_t> SentencePieceModel::encode(std::string_view text) const {
  std::vector<int> ids;
  const auto status = implementation_->processor.Encode(text, &ids);
  if (!status.ok()) fail_input(implementation_->name, ": the text cannot be encoded: ", printable(status.message()));
  return {ids.begin(), ids.end()};
}

std::vector<EncodedPiece> SentencePieceModel::encode_pieces(std::string_view text) const {
  sentencepiece::ImmutableSentencePieceText encoded;
  const auto status = implementation_->processor.Encode(text, encoded.mutable_proto());
  if (!status.ok()) fail_input(implementation_->name, ": the text cannot be encoded: ", printable(status.message()));
  encoded.ConvertToUnicodeSpans();
  std::vector<EncodedPiece> pieces;
  pieces.reserve(encoded.pieces_size());
  for (const auto& piece : encoded.pieces()) {
    pieces.push_back(
        {static_cast<int32_t>(piece.id()), static_cast<int32_t>(piece.begin()), static_cast<int32_t>(piece.end())});
  }
  return pieces;
}

std::string SentencePieceModel::decode(const std::vector<int32_t>& ids) const {
  for (int32_t id : ids) check_id(id);
  std::string text;
  const auto status = implementation_->processor.Decode(absl::Span<const int>(ids.data(), ids.size()), &text);
  if (!status.ok()) fail_input(implementation_->name, ": the ids cannot be decoded: ", printable(status.message()));
  return text;
}

int32_t SentencePieceModel::size() const { return implementation_->processor.GetPieceSize(); }

std::string SentencePieceModel::piece(int32_t id) const {
  check_id(id);
  return implementation_->processor.IdToPiece(id);
}

std::optional<int32_t> SentencePieceModel::id(std::string_view piece) const {
  // The library answers with the unknown piece for a spelling that it does not have.
  const int id = implementation_->processor.PieceToId(piece);
  if (id < 0 || id >= size() || implementation_->processor.IdToPiece(id) != piece) return std::nullopt;
  return id;
}

float SentencePieceModel::score(int32_t id) const {
  check_id(id);
  return implementation_->processor.GetScore(id);
}

PieceType SentencePieceModel::type(int32_t id) const {
  check_id(id);
  const auto& processor = implementation_->processor;
  if (processor.IsUnknown(id)) return PieceType::kUnknown;
  if (processor.IsControl(id)) return PieceType::kControl;
  if (processor.IsUnused(id)) return PieceType::kUnused;
  return processor.IsByte(id) ? PieceType::kByte : PieceType::kNormal;
}

std::optional<int32_t> SentencePieceModel::unknown_id() const { return named(implementation_->processor.unk_id()); }
std::optional<int32_t> SentencePieceModel::bos_id() const { return named(implementation_->processor.bos_id()); }
std::optional<int32_t> SentencePieceModel::eos_id() const { return named(implementation_->processor.eos_id()); }
std::optional<int32_t> SentencePieceModel::pad_id() const { return named(implementation_->processor.pad_id()); }

void SentencePieceModel::check_id(int32_t id) const {
  if (id < 0 || id >= size()) {
    fail_input(implementation_->name, ": there is no token ", id, "; the vocabulary has ", size());
  }
}

}  // namespace luthier
