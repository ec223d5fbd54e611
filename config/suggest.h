// "Did you mean": the known name nearest to one that is not known.
#pragma once

#include <string_view>
#include <vector>

namespace kcptun {

/// Letters to insert, delete or change to get from one to the other; case does not count. O(a * b).
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The nearest of `known`, "" if none is near. A view into `known`.
std::string_view nearest_name(std::string_view name, const std::vector<std::string_view>& known);

}  // namespace kcptun
