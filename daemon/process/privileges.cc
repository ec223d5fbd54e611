#include "daemon/process/privileges.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

namespace kcptun {
namespace {

Error refused(const std::string& what) { return Error{what + ": " + std::strerror(errno)}; }

// Raw system calls: glibc has no wrapper, and libcap would be a dependency for three calls.
struct CapabilitySet {
  std::array<__user_cap_data_struct, _LINUX_CAPABILITY_U32S_3> words{};

  bool get() {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    return syscall(SYS_capget, &header, words.data()) == 0;
  }
  bool set() const {
    __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
    return syscall(SYS_capset, &header, words.data()) == 0;
  }
  Capabilities permitted() const { return words[0].permitted | Capabilities{words[1].permitted} << 32; }
  Capabilities inheritable() const { return words[0].inheritable | Capabilities{words[1].inheritable} << 32; }
  Capabilities effective() const { return words[0].effective | Capabilities{words[1].effective} << 32; }
  void assign(Capabilities kept) {
    for (std::size_t i = 0; i < words.size(); ++i) {
      const auto half = static_cast<std::uint32_t>(kept >> 32 * i);
      words[i] = {.effective = half, .permitted = half, .inheritable = 0};
    }
  }
};

// The bounding set limits executed programs, too. Changing it needs CAP_SETPCAP, so this comes first.
void shrink_bounding_set(Capabilities kept) {
  for (unsigned long capability = 0; prctl(PR_CAPBSET_READ, capability, 0, 0, 0) >= 0; ++capability)
    if ((kept >> capability & 1) == 0) prctl(PR_CAPBSET_DROP, capability, 0, 0, 0);
}

Result<bool> switch_user(const Identity& identity) {
  // glibc's wrappers change all threads of the process.
  if (setgroups(identity.groups.size(), identity.groups.data()) != 0) return refused("setgroups");
  if (setresgid(identity.gid, identity.gid, identity.gid) != 0) return refused("setresgid");
  if (setresuid(identity.uid, identity.uid, identity.uid) != 0) return refused("setresuid");
  return true;
}

Result<bool> verify(const Identity& identity) {
  uid_t uids[3];
  gid_t gids[3];
  if (getresuid(&uids[0], &uids[1], &uids[2]) != 0 || getresgid(&gids[0], &gids[1], &gids[2]) != 0)
    return refused("getresuid");
  const auto is_user = [&](uid_t uid) { return uid == identity.uid; };
  const auto is_group = [&](gid_t gid) { return gid == identity.gid; };
  if (!std::ranges::all_of(uids, is_user) || !std::ranges::all_of(gids, is_group))
    return Error{"the user and group did not change"};
  if (getgroups(0, nullptr) != static_cast<int>(identity.groups.size()))
    return Error{"the supplementary groups did not change"};
  if (identity.uid != 0 && setresuid(0, 0, 0) == 0) return Error{"the process can still become root"};
  return true;
}

Result<bool> drop_capabilities_except(Capabilities needed) {
  CapabilitySet set;
  if (!set.get()) return refused("capget");
  const Capabilities kept = set.permitted() & needed;
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  if (set.permitted() == 0 && set.inheritable() == 0) return true;  // nothing to drop
  set.assign(kept);
  if (!set.set()) return refused("capset");  // the caller reads errno
  if (!set.get()) return refused("capget");
  if (set.permitted() != kept || set.effective() != kept) return Error{"the capabilities did not change"};
  return true;
}

// For an ordinary user. The seccomp filter of a service may forbid capset(2); that is not fatal.
Result<bool> drop_ambient_capabilities(Capabilities needed) {
  errno = 0;
  const Result<bool> kept = drop_capabilities_except(needed);
  if (!kept && errno == EPERM) return false;
  if (!kept) return Error{"cannot drop capabilities: " + kept.error()};
  return true;
}

// A debugger that attaches, such as the leak checker of a sanitized build, needs a dumpable process.
Result<bool> forbid_dumps() {
#if !defined(__SANITIZE_ADDRESS__)
  if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0)
    return refused("prctl(PR_SET_DUMPABLE)");
#endif
  return true;
}

}  // namespace

Result<bool> harden_process() {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return refused("prctl(PR_SET_NO_NEW_PRIVS)");
  const rlimit none{0, 0};
  // A seccomp filter may forbid it. A process that is not dumpable writes no core file anyway.
  (void)setrlimit(RLIMIT_CORE, &none);
  return forbid_dumps();
}

Capabilities capabilities_for(LaterNeeds needs) {
  Capabilities kept = 0;
  if (needs.binds_low_ports) kept |= Capabilities{1} << CAP_NET_BIND_SERVICE;
  if (needs.tcp_mode) kept |= Capabilities{1} << CAP_NET_RAW | Capabilities{1} << CAP_NET_ADMIN;
  if (needs.answers_for_others) kept |= Capabilities{1} << CAP_NET_RAW;  // IP_TRANSPARENT takes it, too
  // CAP_DAC_OVERRIDE lets root read and write others' files: unix sockets, and the folders of snmplog and the
  // log.
  if (needs.stays_root) kept |= Capabilities{1} << CAP_DAC_OVERRIDE;
  return kept;
}

Result<bool> drop_privileges(const Identity* identity, Capabilities needed) {
  shrink_bounding_set(needed);
  // find_identity() has checked that there is no user to switch to
  if (geteuid() != 0) return drop_ambient_capabilities(needed);
  if (identity) {
    if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0) return refused("prctl(PR_SET_KEEPCAPS)");
    if (const Result<bool> switched = switch_user(*identity); !switched)
      return Error{"cannot switch to user " + identity->name + ": " + switched.error()};
  }
  if (const Result<bool> kept = drop_capabilities_except(needed); !kept)
    return Error{"cannot drop capabilities: " + kept.error()};
  if (identity)
    if (const Result<bool> verified = verify(*identity); !verified)
      return Error{"cannot switch to user " + identity->name + ": " + verified.error()};
  return forbid_dumps();  // a change of user resets the dumpable flag to a system-wide setting
}

}  // namespace kcptun
