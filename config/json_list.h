// Converts lists between JSON and the flag's text. In JSON a list is an array of strings; an entry of
// forwards, reverses and users may also be an object.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "config/json_fields.h"
#include "config/settings.h"

namespace kcptun {

/// A name from a file in an error.
std::string in_quotes(std::string_view name);

/// Returns the entries separated by commas. REQUIRES: an array, and an option that accepts one. The error is
/// a predicate.
Result<Value> text_of_array(const Option& option, const JsonField& array);

/// Returns the value in JSON; an array for a kList.
nlohmann::ordered_json json_of_value(const Option& option, const Value& value);

}  // namespace kcptun
