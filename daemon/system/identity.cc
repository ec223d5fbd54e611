#include "daemon/system/identity.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <utility>

namespace kcptun {
namespace {

constexpr std::size_t kMaxGroups = 65536;  // NGROUPS_MAX of Linux

template <typename Id>
std::optional<Id> number_in(const std::string& text) {
  Id id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return id;
}

// Calls a reentrant lookup with a buffer that grows until the entry fits. Null if there is no such entry.
template <typename Entry, typename Query>
Entry* lookup_entry(Entry& entry, std::vector<char>& buffer, Query query) {
  Entry* found = nullptr;
  int status = 0;
  do {
    buffer.resize(std::max<std::size_t>(1024, buffer.size() * 2));
    status = query(&entry, buffer.data(), buffer.size(), &found);
  } while (status == ERANGE && buffer.size() < (std::size_t{1} << 24));
  return found;
}

const passwd* find_user(const std::string& name, passwd& entry, std::vector<char>& buffer) {
  if (const passwd* user = lookup_entry(entry, buffer, [&](auto* e, char* b, std::size_t n, auto** f) {
        return getpwnam_r(name.c_str(), e, b, n, f);
      }))
    return user;
  const auto id = number_in<uid_t>(name);
  if (!id) return nullptr;
  return lookup_entry(entry, buffer,
                      [&](auto* e, char* b, std::size_t n, auto** f) { return getpwuid_r(*id, e, b, n, f); });
}

std::optional<gid_t> find_group(const std::string& name) {
  group entry;
  std::vector<char> buffer;
  if (const group* found = lookup_entry(entry, buffer, [&](auto* e, char* b, std::size_t n, auto** f) {
        return getgrnam_r(name.c_str(), e, b, n, f);
      }))
    return found->gr_gid;
  const auto id = number_in<gid_t>(name);
  if (!id) return std::nullopt;
  const group* found = lookup_entry(
      entry, buffer, [&](auto* e, char* b, std::size_t n, auto** f) { return getgrgid_r(*id, e, b, n, f); });
  return found ? std::optional(found->gr_gid) : std::nullopt;
}

std::vector<gid_t> groups_of(const passwd& user) {
  int count = 64;
  std::vector<gid_t> groups(static_cast<std::size_t>(count));
  if (getgrouplist(user.pw_name, user.pw_gid, groups.data(), &count) < 0) {
    groups.resize(std::min<std::size_t>(static_cast<std::size_t>(count), kMaxGroups));
    count = static_cast<int>(groups.size());
    getgrouplist(user.pw_name, user.pw_gid, groups.data(), &count);
  }
  groups.resize(static_cast<std::size_t>(count));
  return groups;
}

// Fails early: the caller checks the identity before it binds or dials.
Result<Identity> check_possible(Identity identity) {
  if (geteuid() == 0 || (identity.uid == geteuid() && identity.gid == getegid())) return identity;
  return Error{"user " + identity.name + ": only root can switch to another user"};
}

}  // namespace

Result<Identity> find_identity(const std::string& text) {
  const std::size_t colon = text.find(':');
  const std::string user_name = text.substr(0, colon);
  passwd entry;
  std::vector<char> buffer;
  const passwd* user = find_user(user_name, entry, buffer);
  if (!user) return Error{"user " + text + ": there is no user " + user_name};
  Identity identity{user->pw_uid, user->pw_gid, {}, text};
  if (colon == std::string::npos) {
    identity.groups = groups_of(*user);
    return check_possible(std::move(identity));
  }
  const std::string group_name = text.substr(colon + 1);
  const std::optional<gid_t> group = find_group(group_name);
  if (!group) return Error{"user " + text + ": there is no group " + group_name};
  identity.gid = *group;
  identity.groups = {*group};
  return check_possible(std::move(identity));
}

Result<gid_t> find_group_id(const std::string& text) {
  if (const auto group = find_group(text)) return *group;
  return Error{"there is no group " + text};
}

}  // namespace kcptun
