// Runs a fuzz target over files, without libFuzzer: each file, and each cut short at some lengths, for a
// parser's mistakes are at the ends of inputs. `replay [--cuts N] FILE|FOLDER...`; the last line is the
// count. No file is a failure.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string_view>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using Buffer = std::vector<std::uint8_t>;
constexpr std::size_t kCuts = 8;  // of one file

std::size_t run_file(const std::filesystem::path& path, std::size_t cuts) {
  std::ifstream file(path, std::ios::binary);
  const Buffer whole{std::istreambuf_iterator<char>(file), {}};
  std::size_t runs = 0;
  for (std::size_t cut = 0; cut <= cuts; ++cut) {
    const Buffer input(whole.begin(),
                       whole.begin() + static_cast<std::ptrdiff_t>(whole.size() * (cuts - cut) / cuts));
    LLVMFuzzerTestOneInput(input.data(), input.size());
    ++runs;
  }
  return runs;
}

}  // namespace

int main(int argc, char** argv) {
  std::size_t files = 0, runs = 0, cuts = kCuts;
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) == "--cuts" && i + 1 < argc) {
      cuts = std::max(1UL, std::strtoul(argv[++i], nullptr, 10));
      continue;
    }
    if (!std::filesystem::is_directory(argv[i])) {
      std::printf("%s\n", argv[i]);
      runs += run_file(argv[i], cuts);
      ++files;
      continue;
    }
    for (const auto& entry : std::filesystem::directory_iterator(argv[i])) {
      runs += run_file(entry.path(), cuts);
      ++files;
    }
  }
  std::printf("%zu files, %zu inputs\n", files, runs);
  return files == 0;
}
