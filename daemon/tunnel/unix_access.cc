#include "daemon/tunnel/unix_access.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <string>

#include "daemon/log/log.h"
#include "daemon/system/identity.h"

namespace kcptun {
namespace {

std::string folder_of(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

constexpr mode_t kEnter = 1, kWrite = 2;

bool has_permission(const struct stat& info, const Identity& user, mode_t wanted) {
  const bool in_group =
      info.st_gid == user.gid || std::ranges::find(user.groups, info.st_gid) != user.groups.end();
  const unsigned shift = info.st_uid == user.uid ? 6 : in_group ? 3 : 0;
  return (info.st_mode >> shift & wanted) == wanted;
}

// In a sticky folder like /tmp, only the owner may remove a file. The caller makes the user the owner.
bool may_remove(const std::string& path, const Identity& user) {
  if (user.uid == 0) return true;
  mode_t wanted = kEnter | kWrite;  // the folder of the file
  for (std::string folder = folder_of(path);; folder = folder_of(folder)) {
    struct stat info {};
    if (::stat(folder.c_str(), &info) == 0 && !has_permission(info, user, wanted)) return false;
    if (folder == "/" || folder == ".") return true;
    wanted = kEnter;  // and its parent folders
  }
}

}  // namespace

Result<UnixAccess> unix_access(const Profile& profile, const UnixPath& path) {
  UnixAccess access{profile.local_mode, std::nullopt, std::nullopt};
  if (!profile.local_group.empty()) {
    Result<gid_t> group = find_group_id(profile.local_group);
    if (!group) return Error{"localaddr-group: " + group.error()};
    access.group = *group;
  }
  if (profile.user.empty() || geteuid() != 0 || path.path.front() == '@') return access;
  Result<Identity> user = find_identity(profile.user);
  if (!user) return Error{user.error()};
  access.owner = user->uid;
  if (!may_remove(path.path, *user))
    EventLog(profile.name)
        .warning("the socket file cannot be removed at exit",
                 {{"path", path.path}, {"remedy", "a folder that user " + profile.user + " may write to"}});
  return access;
}

}  // namespace kcptun
