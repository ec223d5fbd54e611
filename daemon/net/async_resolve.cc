#include "daemon/net/async_resolve.h"

#include <memory>
#include <optional>
#include <utility>

#include "core/base/check.h"
#include "daemon/net/address.h"

namespace kcptun {
namespace {

struct Request {
  uv_work_t work;
  std::string host;
  std::uint16_t port;
  std::function<void(Result<std::vector<IpEndpoint>>)> done;
  std::optional<Result<std::vector<IpEndpoint>>> result;
};

}  // namespace

void resolve_async(uv_loop_t& loop, const std::string& host, std::uint16_t port,
                   std::function<void(Result<std::vector<IpEndpoint>>)> done) {
  if (const std::optional<IpEndpoint> literal = parse_ip(host, port)) {
    done(std::vector<IpEndpoint>{*literal});
    return;
  }
  auto request = std::make_unique<Request>(Request{{}, host, port, std::move(done), std::nullopt});
  request->work.data = request.get();
  const int queued = uv_queue_work(
      &loop, &request->work,
      [](uv_work_t* work) {
        auto* self = static_cast<Request*>(work->data);
        self->result = resolve(self->host, self->port);
      },
      [](uv_work_t* work, int status) {
        const std::unique_ptr<Request> self(static_cast<Request*>(work->data));
        if (status == 0 && self->result) self->done(std::move(*self->result));
      });
  KCPTUN_CHECK(queued == 0);
  request.release();  // libuv has it until the second callback
}

namespace {

struct Answers {
  std::function<void(Result<std::vector<std::vector<IpEndpoint>>>)> done;
  std::vector<std::vector<IpEndpoint>> found;
  std::optional<Error> error;
  std::size_t missing;
};

void finish(Answers& answers) {
  if (answers.error) return answers.done(*answers.error);
  answers.done(std::move(answers.found));
}

}  // namespace

void resolve_all_async(uv_loop_t& loop, const std::vector<NameQuery>& queries,
                       std::function<void(Result<std::vector<std::vector<IpEndpoint>>>)> done) {
  auto answers = std::make_shared<Answers>(Answers{std::move(done), {}, std::nullopt, queries.size()});
  answers->found.resize(queries.size());
  if (queries.empty()) return finish(*answers);
  for (std::size_t i = 0; i < queries.size(); ++i)
    resolve_async(loop, queries[i].host, queries[i].port, [answers, i](Result<std::vector<IpEndpoint>> addresses) {
      if (!addresses && !answers->error) answers->error = Error{addresses.error()};
      if (addresses) answers->found[i] = std::move(*addresses);
      if (--answers->missing == 0) finish(*answers);
    });
}

}  // namespace kcptun
