#include "daemon/main/host_check.h"

#include <utility>
#include <variant>

#include "daemon/system/identity.h"
#include "daemon/system/missing_folder.h"

namespace kcptun {
namespace {

// The paths of the profile's files and sockets, with the names of their fields.
std::vector<std::pair<std::string, std::string>> paths_of(const Profile& profile) {
  std::vector<std::pair<std::string, std::string>> paths{
      {"log", profile.log.file}, {"snmplog", profile.snmplog}, {"quota-file", profile.quota_file}};
  const auto add_socket = [&paths](const char* field, const Address& address) {
    const auto* unix_path = std::get_if<UnixPath>(&address);
    if (unix_path && !unix_path->path.starts_with('@')) paths.emplace_back(field, unix_path->path);
  };
  if (profile.listens_at_local_address) add_socket("localaddr", profile.local_address);
  for (const Forward& forward : profile.forwards) add_socket("forwards", forward.listen);
  if (profile.status) add_socket("status", *profile.status);
  return paths;
}

}  // namespace

std::vector<std::string> missing_on_this_host(const Profile& profile) {
  std::vector<std::string> missing;
  const auto add = [&missing](const std::string& what) { missing.push_back("on this machine: " + what); };
  if (!profile.user.empty())
    if (const auto found = find_identity(profile.user); !found) add(found.error());
  if (!profile.local_group.empty())
    if (const auto found = find_group_id(profile.local_group); !found)
      add("localaddr-group: " + found.error());
  for (const auto& [field, path] : paths_of(profile))
    if (const std::string folder = missing_folder(path); !folder.empty())
      add(field + " " + path + ": there is no folder " + folder);
  return missing;
}

}  // namespace kcptun
