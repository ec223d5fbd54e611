// The page at "/": daemon/status/page.html, compiled in.
#pragma once

#include <string>
#include <string_view>

namespace kcptun {

std::string_view page_html();
/// The page's Content-Security-Policy. It allows the page's own style and script, each by its hash, and
/// requests to the page's origin.
std::string page_policy();

}  // namespace kcptun
