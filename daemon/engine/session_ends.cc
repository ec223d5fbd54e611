// Streams of a session that lead elsewhere than to a connection.
#include <algorithm>
#include <utility>

#include "daemon/engine/session.h"

namespace kcptun {

void Session::attach(std::unique_ptr<StreamEnd> end) {
  link_.set_tag(end->sid(), stream_tag(*end));
  StreamEnd& attached = *end;
  ends_[attached.sid()] = std::move(end);
  wait_for_room(attached);  // it may have written before
}

void Session::detach(StreamEnd& end) {
  const auto it = ends_.find(end.sid());
  if (it == ends_.end() || it->second.get() != &end) return;
  link_.set_tag(end.sid(), 0);
  if (end.waits_for_room) std::erase(waiting_ends_, &end);
  if (end.in_round)
    std::replace(round_ends_.begin(), round_ends_.end(), &end, static_cast<StreamEnd*>(nullptr));
  std::unique_ptr<StreamEnd> gone = std::move(it->second);
  ends_.erase(it);
  engine_.dispose(std::move(gone));
  engine_.wake(*this);
}

void Session::close_ends() {
  while (!ends_.empty()) {
    StreamEnd& end = *ends_.begin()->second;
    end.handle_gone();
    detach(end);
  }
}

void Session::Owner::handle_flow(Session& session, std::uint32_t sid, Bytes, MutableBytes) {
  session.link().reset_stream(sid);
}

void Session::hand_over(Connection& connection, Bytes unsent, MutableBytes unread) {
  const std::uint32_t sid = connection.sid();
  detach(connection);
  owner_.handle_flow(*this, sid, unsent, unread);
}

// --- one round ---

void Session::handle_end_event(StreamEnd& end, const StreamEvent& event) {
  switch (event.type) {
    case StreamEvent::Type::kData:
      begin_round(end);
      end.handle_data(event.data);
      return link_.consume(event.sid, event.data.size());
    case StreamEvent::Type::kFinished:
    case StreamEvent::Type::kReset:
      return end.handle_peer_ended();
    case StreamEvent::Type::kEvicted:
      end.handle_gone();
      return detach(end);
    case StreamEvent::Type::kWritable:
      return wait_for_room(end);
    case StreamEvent::Type::kOpened:
      return;
  }
}

void Session::drain_datagrams() {
  while (const std::optional<DatagramEvent> datagram = link_.poll_datagram()) {
    StreamEnd* const end = stream_end_of(datagram->tag);
    if (!end) continue;  // of a stream that is no flow
    begin_round(*end);
    end->handle_datagram(datagram->bytes);
  }
}

void Session::begin_round(StreamEnd& end) {
  if (!std::exchange(end.in_round, true)) round_ends_.push_back(&end);
}

void Session::finish_round() {
  for (std::size_t i = 0; i < round_ends_.size(); ++i) {
    StreamEnd* const end = std::exchange(round_ends_[i], nullptr);
    if (!end) continue;
    end->in_round = false;
    end->handle_round_end();
  }
  round_ends_.clear();
}

void Session::wait_for_room(StreamEnd& end) {
  const auto it = ends_.find(end.sid());
  if (it == ends_.end() || it->second.get() != &end) return;  // not attached yet, or no longer
  engine_.wake(*this);
  if (!std::exchange(end.waits_for_room, true)) waiting_ends_.push_back(&end);
}

// True if an end wrote and waits for more.
bool Session::serve_waiting_ends() {
  if (waiting_ends_.empty() || !link_.writable()) return false;
  for (std::size_t left = waiting_ends_.size(); left > 0 && !waiting_ends_.empty(); --left) {
    StreamEnd* const end = waiting_ends_.front();
    waiting_ends_.erase(waiting_ends_.begin());
    end->waits_for_room = false;
    end->handle_room();
  }
  return !waiting_ends_.empty() && link_.writable();
}

}  // namespace kcptun
