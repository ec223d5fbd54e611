// Texts that derive from the table of options: the help, the table of docs/reference/flags.md, the manual
// pages, --check.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "config/settings.h"

namespace kcptun {

/// --help, within 80 columns, by groups.
std::string render_help(Role role);

/// The flags of both programs as one Markdown table.
std::string render_markdown();

/// The flags of one program, by groups, as the mdoc(7) text that its manual page includes.
std::string render_man(Role role);

/// The JSON fields of both programs, by groups, as the mdoc(7) text that kcptun-uv.json(5) includes.
std::string render_man_json();

/// The effective profile as a JSON object with a comment behind each value that nobody has set. As a file of
/// -c, with the hidden secrets put in, it behaves as these settings do. REQUIRES: settings that passed
/// validate().
std::string render_check(const Settings& settings);
/// The same of several tunnels: options of the process, then "tunnels". REQUIRES: at least one.
std::string render_check_of_several(std::span<const Settings* const> tunnels);

/// A key as 43 digits of base64url, which pass through shells and chat programs unchanged.
std::string render_key(const std::array<std::uint8_t, 32>& bytes);

/// "kcptun version 1.2.3 kcptun-uv (libuv 1.44.2)". One line that begins as Go's does: tools take its third
/// word.
std::string render_version(std::string_view library_versions);

}  // namespace kcptun
