// The page at "/": daemon/status/page.html, built in.
#pragma once

#include <string>
#include <string_view>

namespace kcptun {

std::string_view page_html();
/// Its Content-Security-Policy: nothing but its own style, its own script (both by their hashes), and
/// requests to where it came from.
std::string page_policy();

}  // namespace kcptun
