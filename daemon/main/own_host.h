// This machine's address for pairing strings.
#pragma once

#include <string>

#include "core/base/result.h"

namespace kcptun {

/// The address as clients on other machines reach it, without brackets. The error is a sentence.
Result<std::string> own_host();

}  // namespace kcptun
