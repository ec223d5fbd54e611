#include "tests/support/vectors.h"

#include <fstream>

namespace kcptun::test {

nlohmann::json load_vectors(const std::string& file) {
  std::ifstream in(std::string(KCPTUN_VECTORS) + "/" + file);
  if (!in) throw std::runtime_error("cannot open test vectors " + file);
  return nlohmann::json::parse(in);
}

}  // namespace kcptun::test
