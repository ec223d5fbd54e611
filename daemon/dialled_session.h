// One session of the client: its socket, link and connections.
#pragma once

#include "daemon/client.h"

namespace kcptun {

struct ClientPart::Dialled final : PacketReceiver {
  Dialled(ClientPart& owner, Loop& on_loop, ConversationId id, const HostPort& to, const Path& path)
      : part(owner),
        loop(on_loop),
        server(to),
        dialled_at(on_loop.now()),
        link(Role::kClient, id, on_loop.context(), dialled_at),
        session(on_loop, link, owner, path, owner.profile_),
        socket(path.socket) {}
  ~Dialled() override { loop.remove_socket(socket); }

  void handle_run(TimePoint now, const Path&, std::span<const Packet> packets) override {
    link.handle_packets(now, packets);
    if (full_size.handle_run(now, link.kcp())) part.explain_vanishing(*this, now);
    loop.wake(session);
  }
  void handle_refused_send(TimePoint now) override { part.handle_refused_send(now); }

  ClientPart& part;
  Loop& loop;
  HostPort server;       // as the profile named it
  TimePoint dialled_at;  // before the link: reading it sets the time of day that the link dates its packets with
  Link link;
  Session session;
  std::uint32_t socket;
  FullSizeWatch full_size;
};

}  // namespace kcptun
