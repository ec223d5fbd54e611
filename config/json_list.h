// Lists in JSON: an array of strings, and for forwards also of objects, to the text that the flag has, and
// back.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "config/json_fields.h"
#include "config/settings.h"

namespace kcptun {

/// The array's entries with commas between. REQUIRES: an array, and an option that takes one. The error is a
/// predicate.
Result<Value> text_of_array(const Option& option, const JsonField& array);

/// The value as a JSON file has it. Of a kList an array.
nlohmann::ordered_json json_of_value(const Option& option, const Value& value);

}  // namespace kcptun
