#include "daemon/net/faketcp/netlink.h"

#include <arpa/inet.h>
#include <endian.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace kcptun {
namespace {

constexpr std::size_t kHeaders = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(nfgenmsg));
// The kernel answers in datagrams of at most a page, or 32 KiB for dumps.
constexpr std::size_t kAnswerBytes = 64 * 1024;
// Longer than any answer takes: a kernel that does not answer causes an error, not a hang.
constexpr timeval kAnswerTimeout{5, 0};

template <typename T>
Bytes bytes_of(const T& value) {
  return {reinterpret_cast<const std::uint8_t*>(&value), sizeof value};
}

void append(std::vector<std::uint8_t>& to, Bytes bytes, std::size_t aligned) {
  to.insert(to.end(), bytes.begin(), bytes.end());
  to.resize(to.size() + aligned - bytes.size());
}

void append_message(std::vector<std::uint8_t>& to, std::uint16_t type, std::uint16_t flags,
                    std::uint32_t sequence, const nfgenmsg& family, Bytes attributes) {
  nlmsghdr header{};
  header.nlmsg_len = static_cast<std::uint32_t>(kHeaders + attributes.size());
  header.nlmsg_type = type;
  header.nlmsg_flags = static_cast<std::uint16_t>(flags | NLM_F_REQUEST);
  header.nlmsg_seq = sequence;
  append(to, bytes_of(header), NLMSG_HDRLEN);
  append(to, bytes_of(family), NLMSG_ALIGN(sizeof family));
  append(to, attributes, NLMSG_ALIGN(attributes.size()));
}

constexpr std::uint16_t nft_type(std::uint16_t message) {
  return static_cast<std::uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | message);
}

}  // namespace

NetlinkAttributes& NetlinkAttributes::raw(std::uint16_t type, Bytes value) {
  nlattr header;
  header.nla_len = static_cast<std::uint16_t>(NLA_HDRLEN + value.size());
  header.nla_type = type;
  append(bytes_, bytes_of(header), NLA_HDRLEN);
  append(bytes_, value, NLA_ALIGN(value.size()));
  return *this;
}

NetlinkAttributes& NetlinkAttributes::number(std::uint16_t type, std::uint32_t value) {
  return raw(type, bytes_of(htonl(value)));
}

NetlinkAttributes& NetlinkAttributes::number64(std::uint16_t type, std::uint64_t value) {
  return raw(type, bytes_of(htobe64(value)));
}

NetlinkAttributes& NetlinkAttributes::text(std::uint16_t type, std::string_view value) {
  const std::string terminated(value);
  return raw(type, {reinterpret_cast<const std::uint8_t*>(terminated.c_str()), terminated.size() + 1});
}

NetlinkAttributes& NetlinkAttributes::nested(std::uint16_t type, const NetlinkAttributes& inner) {
  return raw(type | NLA_F_NESTED, inner.bytes());
}

std::optional<Bytes> find_attribute(Bytes attributes, std::uint16_t type) {
  while (attributes.size() >= NLA_HDRLEN) {
    nlattr header;
    std::memcpy(&header, attributes.data(), sizeof header);
    if (header.nla_len < NLA_HDRLEN || header.nla_len > attributes.size()) return std::nullopt;
    if ((header.nla_type & NLA_TYPE_MASK) == type)
      return attributes.subspan(NLA_HDRLEN, std::size_t{header.nla_len} - NLA_HDRLEN);
    attributes = attributes.subspan(std::min<std::size_t>(NLA_ALIGN(header.nla_len), attributes.size()));
  }
  return std::nullopt;
}

Result<NftSocket> NftSocket::open() {
  NftSocket opened(FileDescriptor(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER)));
  sockaddr_nl name{};
  name.nl_family = AF_NETLINK;
  socklen_t size = sizeof name;
  auto* generic = reinterpret_cast<sockaddr*>(&name);
  if (!opened.fd_.valid() || ::bind(opened.fd_.get(), generic, size) != 0 ||
      ::getsockname(opened.fd_.get(), generic, &size) != 0)
    return Error{std::string("no netlink socket for firewall rules: ") + std::strerror(errno)};
  ::setsockopt(opened.fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &kAnswerTimeout, sizeof kAnswerTimeout);
  opened.port_ = name.nl_pid;
  return opened;
}

int NftSocket::send(Bytes message) {
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  const ssize_t sent = ::sendto(fd_.get(), message.data(), message.size(), 0,
                                reinterpret_cast<const sockaddr*>(&kernel), sizeof kernel);
  return sent < 0 ? errno : 0;
}

int NftSocket::transact(const std::vector<NftRequest>& requests, const Told& told) {
  const nfgenmsg subsystem{AF_UNSPEC, NFNETLINK_V0, htons(NFNL_SUBSYS_NFTABLES)};
  const nfgenmsg family{NFPROTO_INET, NFNETLINK_V0, 0};
  std::vector<std::uint8_t> batch;
  append_message(batch, NFNL_MSG_BATCH_BEGIN, 0, ++sequence_, subsystem, {});
  for (const NftRequest& request : requests)
    append_message(batch, nft_type(request.type), request.flags | NLM_F_ACK, ++sequence_, family,
                   request.attributes.bytes());
  append_message(batch, NFNL_MSG_BATCH_END, 0, ++sequence_, subsystem, {});
  if (const int error = send(batch)) return error;
  return read_answers(requests.size(), told);
}

int NftSocket::dump(const NftRequest& request, const Told& told) {
  const nfgenmsg family{NFPROTO_INET, NFNETLINK_V0, 0};
  std::vector<std::uint8_t> message;
  append_message(message, nft_type(request.type), request.flags | NLM_F_DUMP, ++sequence_, family,
                 request.attributes.bytes());
  if (const int error = send(message)) return error;
  return read_answers(1, told);
}

// Reads until `acknowledgments` messages are acknowledged, a dump is complete, or a request is rejected. A
// rejected transaction yields one answer per failed message. The remaining answers are in the same datagram,
// or a later call skips them by their sequence number.
int NftSocket::read_answers(std::size_t acknowledgments, const Told& told) {
  std::vector<std::uint8_t> answer(kAnswerBytes);
  const std::uint32_t newest = sequence_;
  const std::uint32_t oldest = newest - static_cast<std::uint32_t>(acknowledgments) - 1;
  while (acknowledgments > 0) {
    const ssize_t got = ::recv(fd_.get(), answer.data(), answer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return errno == EAGAIN ? ETIMEDOUT : errno;
    auto left = static_cast<std::uint32_t>(got);
    for (auto* header = reinterpret_cast<nlmsghdr*>(answer.data()); NLMSG_OK(header, left);
         header = NLMSG_NEXT(header, left)) {
      if (header->nlmsg_seq - oldest > newest - oldest) continue;  // an answer to an earlier transaction
      if (header->nlmsg_type == NLMSG_DONE) return 0;
      if (header->nlmsg_type == NLMSG_ERROR) {
        const auto* error = static_cast<const nlmsgerr*>(NLMSG_DATA(header));
        if (header->nlmsg_len < NLMSG_LENGTH(sizeof *error)) return EBADMSG;
        if (error->error != 0) return -error->error;
        if (acknowledgments > 0) --acknowledgments;
      } else if (told && header->nlmsg_len >= kHeaders) {
        const auto* start = reinterpret_cast<const std::uint8_t*>(header);
        told(header->nlmsg_type & 0xff, {start + kHeaders, header->nlmsg_len - kHeaders});
      }
    }
  }
  return 0;
}

}  // namespace kcptun
