#include "luthier/formats/checkpoint.h"

#include <gtest/gtest.h>

#include "files.h"
#include "luthier/formats/safetensors_writer.h"

namespace luthier {
namespace {

void write_shard(const std::string& path, const std::vector<std::string>& names) {
  std::vector<TensorView> tensors;
  for (const std::string& name : names)
    tensors.push_back({name, DType::U8, {1}, std::as_bytes(std::span(name).first(1))});
  write_safetensors(path, tensors);
}

std::string index_of(const std::string& weight_map) {
  return R"({"metadata": {"total_size": 3}, "weight_map": {)" + weight_map + "}}";
}

constexpr auto kIndex = "model.safetensors.index.json";

TEST(Checkpoint, FindsTensorsOverShards) {
  const std::string folder = test_folder();
  write_shard(folder + "1.safetensors", {"b", "c"});
  write_shard(folder + "2.safetensors", {"a"});
  write_file(folder + kIndex, index_of(R"("a": "2.safetensors", "b": "1.safetensors", "c": "1.safetensors")"));
  Checkpoint opened = open_checkpoint(folder);
  const Checkpoint checkpoint = std::move(opened);
  EXPECT_EQ(checkpoint.names(), (std::vector<std::string>{"a", "b", "c"}));
  for (const char* name : {"a", "b", "c"}) {
    EXPECT_EQ(static_cast<char>(checkpoint.tensor(name).data[0]), name[0]);
  }
  EXPECT_EQ(checkpoint.find("d"), nullptr);
  EXPECT_NE(input_error([&] { checkpoint.tensor("d"); }).find(folder), std::string::npos);
}

TEST(Checkpoint, OpensAFolderOrAFile) {
  const std::string folder = test_folder();
  write_shard(folder + "model.safetensors", {"a"});
  EXPECT_EQ(open_checkpoint(folder).names(), std::vector<std::string>{"a"});
  EXPECT_EQ(open_checkpoint(folder + "model.safetensors").names(), std::vector<std::string>{"a"});
}

TEST(Checkpoint, NamesWhatIsMissing) {
  const std::string folder = test_folder();
  EXPECT_NE(input_error([&] { open_checkpoint(folder); }).find("neither model.safetensors nor"), std::string::npos);
  EXPECT_NE(input_error([&] { open_checkpoint(folder + "no"); }).find("cannot be opened"), std::string::npos);
  write_file(folder + "pytorch_model.bin", "");
  EXPECT_NE(input_error([&] { open_checkpoint(folder); }).find("pytorch_model.bin, which is not read"),
            std::string::npos);

  write_shard(folder + "1.safetensors", {"a"});
  write_file(folder + kIndex, index_of(R"("a": "1.safetensors", "b": "2.safetensors")"));
  const std::string shard = input_error([&] { open_checkpoint(folder); });
  EXPECT_NE(shard.find(folder + "2.safetensors: is missing"), std::string::npos) << shard;
  EXPECT_NE(shard.find("\"b\""), std::string::npos) << shard;

  write_file(folder + kIndex, index_of(R"("a": "1.safetensors", "b": "1.safetensors")"));
  const std::string tensor = input_error([&] { open_checkpoint(folder); });
  EXPECT_NE(tensor.find(folder + "1.safetensors: lacks the tensor \"b\""), std::string::npos) << tensor;
}

TEST(Checkpoint, RefusesAHostileIndex) {
  const std::string folder = test_folder();
  write_shard(folder + "1", {"a"});
  for (const std::string weight_map : {R"("a": "../1")", R"("a": "/etc/passwd")", R"("a": "..")", R"("a": "")",
                                       R"("a": "1\u0000")", R"("a": 1)", R"("a": "1", "a": "1")", ""}) {
    write_file(folder + kIndex, index_of(weight_map));
    EXPECT_NE(input_error([&] { open_checkpoint(folder); }).find(kIndex), std::string::npos) << weight_map;
  }
}

}  // namespace
}  // namespace luthier
