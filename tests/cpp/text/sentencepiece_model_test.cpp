#include "luthier/text/sentencepiece_model.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "luthier/base/error.h"

namespace luthier {
namespace {

// A model in the wire format of sentencepiece_model.proto, written by hand: field 1 repeated piece
// {1: text, 2: score, 3: type}, field 2 trainer {3: model type, 1 is unigram}, field 3 normaliser
// {3: add_dummy_prefix, 4: remove_extra_whitespaces}.
std::string length_delimited(int field, const std::string& content) {
  return std::string(1, static_cast<char>(field << 3 | 2)) + static_cast<char>(content.size()) + content;
}

std::string piece(const std::string& text, float score, char type) {
  std::string number(4, '\0');
  std::memcpy(number.data(), &score, 4);
  return length_delimited(1, length_delimited(1, text) + '\x15' + number + '\x18' + type);
}

constexpr char kNormal = 1, kUnknown = 2, kControl = 3, kUserDefined = 4, kUnused = 5;

std::string tiny_model() {
  const std::string trainer = length_delimited(2, std::string("\x18\x01", 2));
  const std::string normaliser = length_delimited(3, std::string("\x18\x00\x20\x00", 4));
  return piece("<unk>", 0, kUnknown) + piece("<s>", 0, kControl) + piece("</s>", 0, kControl) +
         piece("a", -1, kNormal) + piece("b", -1, kNormal) + piece("ab", -1.5, kNormal) + piece("<", -2, kNormal) +
         piece("s", -2, kNormal) + piece(">", -2, kNormal) + piece("!!", 0, kUserDefined) + piece("x", -3, kUnused) +
         trainer + normaliser;
}

SentencePieceModel tiny() { return SentencePieceModel::load(tiny_model(), "tiny.model"); }

TEST(SentencePieceModel, TakesTheLikeliestPieces) {
  EXPECT_EQ(tiny().encode("abb"), (std::vector<int32_t>{5, 4}));
  EXPECT_EQ(tiny().encode(""), (std::vector<int32_t>{}));
}

TEST(SentencePieceModel, SaysWhichCharactersEachPieceStandsFor) {
  const auto places = [](const SentencePieceModel& model, const std::string& text) {
    std::vector<std::vector<int32_t>> found;
    for (const auto& piece : model.encode_pieces(text)) found.push_back({piece.id, piece.begin, piece.end});
    return found;
  };
  // "ä" and "日" are one character of two and three bytes; together they are one unknown piece.
  EXPECT_EQ(places(tiny(), "abä日b!!"),
            (std::vector<std::vector<int32_t>>{{5, 0, 2}, {0, 2, 4}, {4, 4, 5}, {9, 5, 7}}));
  EXPECT_TRUE(places(tiny(), "").empty());
}

TEST(SentencePieceModel, SpellingsOfControlPiecesAreText) {
  EXPECT_EQ(tiny().encode("a<s>b"), (std::vector<int32_t>{3, 6, 7, 8, 4}));
}

TEST(SentencePieceModel, UnknownCharactersYieldTheUnknownPiece) {
  EXPECT_EQ(tiny().encode("aqb"), (std::vector<int32_t>{3, 0, 4}));
}

TEST(SentencePieceModel, DecodesWithoutControlPieces) { EXPECT_EQ(tiny().decode({1, 5, 3, 2}), "aba"); }

TEST(SentencePieceModel, DescribesItsPieces) {
  const auto model = tiny();
  EXPECT_EQ(model.size(), 11);
  EXPECT_EQ(model.piece(5), "ab");
  EXPECT_EQ(model.id("ab"), 5);
  EXPECT_EQ(model.id("zz"), std::nullopt);
  EXPECT_EQ(model.id("<unk>"), 0);
  EXPECT_FLOAT_EQ(model.score(5), -1.5f);
  EXPECT_EQ(model.type(0), PieceType::kUnknown);
  EXPECT_EQ(model.type(1), PieceType::kControl);
  EXPECT_EQ(model.type(3), PieceType::kNormal);
  EXPECT_EQ(model.type(9), PieceType::kNormal);
  EXPECT_EQ(model.type(10), PieceType::kUnused);
  EXPECT_EQ(model.bos_id(), 1);
  EXPECT_EQ(model.eos_id(), 2);
  EXPECT_EQ(model.unknown_id(), 0);
  EXPECT_EQ(model.pad_id(), std::nullopt);
}

TEST(SentencePieceModel, RefusesIdsOutsideTheVocabulary) {
  const auto model = tiny();
  EXPECT_THROW(model.piece(11), InputError);
  EXPECT_THROW(model.score(-1), InputError);
  EXPECT_THROW(model.type(1 << 30), InputError);
  EXPECT_THROW(model.decode({3, 11}), InputError);
  EXPECT_THROW(model.decode({-1}), InputError);
}

TEST(SentencePieceModel, RefusesBytesThatAreNoModelAndNamesTheFile) {
  for (const std::string& bytes :
       {std::string(), std::string("not a model"), std::string(4, '\0'), tiny_model().substr(0, 40)}) {
    try {
      SentencePieceModel::load(bytes, "damaged.model");
      FAIL() << "loaded " << bytes.size() << " bytes";
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find("damaged.model"), std::string::npos);
    }
  }
}

TEST(SentencePieceModel, EveryTruncationLoadsOrIsRefused) {
  const std::string whole = tiny_model();
  for (size_t size = 0; size < whole.size(); ++size) {
    try {
      SentencePieceModel::load(whole.substr(0, size), "cut.model").encode("ab<s>q");
    } catch (const InputError&) {
    }
  }
}

}  // namespace
}  // namespace luthier
