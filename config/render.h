// Texts generated from the option table: --help, docs/reference/flags.md, the manual pages and --check.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "config/settings.h"

namespace kcptun {

/// The text of --help: options by group, within 80 columns.
std::string render_help(Role role);

/// The flags of both programs as one Markdown table.
std::string render_markdown();

/// The flags of one program, by groups, as the mdoc(7) text that its manual page includes.
std::string render_man(Role role);

/// The JSON fields of both programs, by groups, as the mdoc(7) text that kcptun-uv.json(5) includes.
std::string render_man_json();

/// The effective profile as a JSON object, with a comment behind each value that was not set. As a file of
/// -c, with the hidden secrets inserted, it behaves like these settings. REQUIRES: settings that passed
/// validate().
std::string render_check(const Settings& settings);
/// As render_check(), for several tunnels: options of the process, then "tunnels". REQUIRES: at least one
/// tunnel.
std::string render_check_of_several(std::span<const Settings* const> tunnels);

/// A key as 43 base64url digits, which shells and chat programs leave unchanged.
std::string render_key(const std::array<std::uint8_t, 32>& bytes);

/// Returns "kcptun version 1.2.3 kcptun-uv (libuv 1.44.2)". The line begins like Go's, because tools read its
/// third word.
std::string render_version(std::string_view library_versions);

}  // namespace kcptun
