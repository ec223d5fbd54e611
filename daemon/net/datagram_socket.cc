#include "daemon/net/datagram_socket.h"

#include "core/base/check.h"

namespace kcptun {

std::size_t run_at(const TransmitBatch& batch, std::size_t position) {
  std::size_t run = 0;
  while (batch.runs()[run].first + batch.runs()[run].count <= position) ++run;
  return run;
}

BatchSendResult send_batch(std::span<DatagramSocket* const> sockets, const TransmitBatch& batch,
                           std::size_t position) {
  BatchSendResult result;
  result.position = position;
  while (result.position < batch.size()) {
    const TransmitBatch::Run& run = batch.runs()[run_at(batch, result.position)];
    DatagramSocket* socket = run.path.socket < sockets.size() ? sockets[run.path.socket] : nullptr;
    if (!socket) {
      result.dropped += end_of(run) - result.position;
      result.position = end_of(run);
      continue;
    }
    KCPTUN_CHECK(socket->index() == run.path.socket);
    const DatagramSocket::SendResult sent = socket->send(batch, result.position);
    result.position += sent.consumed;
    result.dropped += sent.dropped;
    if (sent.state == DatagramSocket::SendState::kDone || sent.state == DatagramSocket::SendState::kDropped)
      continue;
    result.state = sent.state;
    result.socket = run.path.socket;
    return result;
  }
  return result;
}

}  // namespace kcptun
