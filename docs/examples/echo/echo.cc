// A kcptun session over a UDP socket of this program's own: the server sends back what the client says.
//   echo server PORT          echo client PORT TEXT
#include <arpa/inet.h>
#include <poll.h>
#include <sodium.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdio>
#include <string>

#include "core/crypt/suite.h"
#include "core/link/demux.h"

using namespace kcptun;
namespace {
TimePoint now() {
  return TimePoint(std::chrono::duration_cast<Duration>(std::chrono::steady_clock::now().time_since_epoch()));
}

/// What either end needs: a socket, a cipher suite, and memory for packets.
struct End {
  int fd = socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in peer{};
  Path path;
  LinkContext context{LinkSettings{}};
  std::unique_ptr<Suite> suite;
  TransmitBatch batch;
  alignas(64) std::uint8_t slot[kPacketStride];
  Packet packet;
  explicit End(std::uint16_t port) {
    std::array<std::uint8_t, 32> seed;  // of the nonces
    randombytes_buf(seed.data(), seed.size());
    suite = Suite::make(Cipher::kAes128, MasterKey("a key that both ends know"), seed);
    context.set_overhead(*suite);
    peer = {AF_INET, htons(port), {htonl(INADDR_LOOPBACK)}, {}};
  }
  /// Waits for one datagram until `deadline` at most. Empty: none came, or it was not authentic.
  std::span<const Packet> receive(std::optional<TimePoint> deadline) {
    const auto left = deadline ? std::chrono::ceil<milliseconds>(*deadline - now()).count() : 1000;
    pollfd readable{fd, POLLIN, 0};
    if (poll(&readable, 1, static_cast<int>(std::max<long>(left, 0))) <= 0) return {};
    socklen_t size = sizeof peer;
    const ssize_t n = recvfrom(fd, slot, kMaxDatagram, 0, reinterpret_cast<sockaddr*>(&peer), &size);
    packet = {slot, static_cast<std::uint32_t>(std::max<ssize_t>(n, 0))};
    path.remote.port = ntohs(peer.sin_port);
    return suite->open({&packet, 1}) == 0 ? std::span<const Packet>(&packet, 1) : std::span<const Packet>();
  }
  /// Sends all that the link has to send now.
  void transmit(Link& link) {
    for (bool more = true; more;) {
      batch.clear();
      more = link.poll_transmit(now(), path, batch);
      suite->seal(batch.packets());
      for (const Packet& sealed : batch.packets())
        sendto(fd, sealed.data, sealed.size, 0, reinterpret_cast<const sockaddr*>(&peer), sizeof peer);
    }
  }
};

/// Writes as much of `text` as the link takes now, and removes that from it.
void write(Link& link, std::uint32_t sid, std::string& text) {
  std::size_t written = 0;
  for (const MutableBytes piece : link.prepare_write(sid, text.size()))
    written += text.copy(reinterpret_cast<char*>(piece.data()), piece.size(), written);
  link.commit_write(sid, written);
  text.erase(0, written);
}

/// Moves what has arrived into `text`, and what is due onto the wire. False once the peer has finished the
/// stream.
bool read(End& end, Link& link, std::uint32_t& sid, std::string& text) {
  bool open = true;
  if (const auto due = link.next_timeout(); due && *due <= now()) link.handle_timeout(now());
  while (const auto event = link.poll_event(now())) {
    sid = event->sid;
    open = open && event->type != StreamEvent::Type::kFinished;
    if (event->type != StreamEvent::Type::kData) continue;
    text.append(reinterpret_cast<const char*>(event->data.data()), event->data.size());
    link.consume(sid, event->data.size());
  }
  link.release_views();
  end.transmit(link);
  return open && link.closed_reason().empty();
}

int serve(End& end) {
  if (bind(end.fd, reinterpret_cast<sockaddr*>(&end.peer), sizeof end.peer) != 0)
    return std::perror("bind"), 1;
  Demux demux(end.context, 16);
  SessionEntry* client = nullptr;
  std::uint32_t sid = 0;
  for (std::string text;;) {
    demux.handle_run(now(), end.path, end.receive(client ? client->link.next_timeout() : std::nullopt));
    for (SessionEntry* conversation : demux.take_touched()) client = conversation;
    if (client && !read(end, client->link, sid, text)) return 0;
    if (client && !text.empty()) write(client->link, sid, text), end.transmit(client->link);
  }
}

int ask(End& end, std::string text) {
  Link link(Role::kClient, SessionName(randombytes_random()), end.context, now());
  std::uint32_t sid = link.open_stream().value();
  std::string answer;
  for (const std::size_t wanted = text.size(); answer.size() < wanted;) {
    if (!text.empty()) write(link, sid, text);
    if (!read(end, link, sid, answer)) return 1;
    link.handle_packets(now(), end.receive(link.next_timeout()));
  }
  std::puts(answer.c_str());
  link.finish(sid);
  return end.transmit(link), 0;
}
}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return std::fputs("usage: echo server PORT | echo client PORT TEXT\n", stderr), 2;
  End end(static_cast<std::uint16_t>(std::stoi(argv[2])));
  return argv[1] == std::string("server") ? serve(end) : ask(end, argc > 3 ? argv[3] : "hello");
}
