// Runs a fuzz target over files, without libFuzzer: each file, and each cut short at some lengths, for a
// parser's mistakes are at the ends of inputs. `replay FILE|FOLDER...`; the last line is the count. No file
// is a failure.
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Buffer = std::vector<std::uint8_t>;
constexpr std::size_t kCuts = 8;  // of one file

std::size_t run_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  const Buffer whole{std::istreambuf_iterator<char>(file), {}};
  std::size_t runs = 0;
  for (std::size_t cut = 0; cut <= kCuts; ++cut) {
    const Buffer input(whole.begin(),
                       whole.begin() + static_cast<std::ptrdiff_t>(whole.size() * (kCuts - cut) / kCuts));
    LLVMFuzzerTestOneInput(input.data(), input.size());
    ++runs;
  }
  return runs;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t files = 0, runs = 0;
  for (int i = 1; i < argc; ++i) {
    if (!std::filesystem::is_directory(argv[i])) {
      std::printf("%s\n", argv[i]);
      runs += run_file(argv[i]);
      ++files;
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      runs += run_file(entry.path());
      ++files;
    }
  }
  std::printf("%zu files, %zu inputs\n", files, runs);
  return files == 0;
}
