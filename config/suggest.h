// Finds the known name nearest to an unknown one, for "did you mean".
#pragma once

#include <string_view>
#include <vector>

namespace kcptun {

/// The number of letters to insert, delete or change to turn one into the other, ignoring case. O(a * b).
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The nearest of `known`, or "" if none is near. The result is a view into `known`.
std::string_view nearest_name(std::string_view name, const std::vector<std::string_view>& known);

}  // namespace kcptun
