#include "daemon/system/thread.h"

#include <pthread.h>
#include <signal.h>

#include <system_error>
#include <utility>

namespace kcptun {

Result<std::thread> start_thread(const std::string& name, std::function<void()> work) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);  // a new thread inherits the mask of its creator
  std::thread thread;
  std::string reason;
  try {
    thread = std::thread(std::move(work));
  } catch (const std::system_error& error) {
    reason = error.code().message();
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (!thread.joinable())
    return Error{"cannot start the thread \"" + name + "\": " + reason +
                 " (limits of tasks: ulimit -u, TasksMax= of a service)"};
  pthread_setname_np(thread.native_handle(), name.c_str());
  return thread;
}

}  // namespace kcptun
