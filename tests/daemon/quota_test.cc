// Accounts of users with a quota, and the thread that keeps them in a file.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <future>

#include "config/day.h"
#include "daemon/server/user_accounts.h"
#include "daemon/tunnel/quota_writer.h"
#include "tests/daemon/daemon_harness.h"

namespace kcptun::quota_test {
namespace {

UnixTime day(std::string_view text, int hour = 12) {
  return UnixTime(seconds(parse_day(text).value().time_since_epoch()) + std::chrono::hours(hour));
}

/// A folder for one file, removed at the end.
class Folder {
 public:
  Folder() { REQUIRE(mkdtemp(name_.data()) != nullptr); }
  ~Folder() { remove(); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;
  std::string file() const { return name_ + "/quota.json"; }
  void create() const { REQUIRE(::mkdir(name_.c_str(), 0700) == 0); }
  void remove() const {
    ::unlink(file().c_str());
    ::rmdir(name_.c_str());
  }

 private:
  std::string name_ = "/tmp/kcptun-quota.XXXXXX";
};

const QuotaWriter::Post unlogged = [](const std::function<void()>&) {};

constexpr Quota kMonthly{1000, QuotaPeriod::kMonth};

}  // namespace

TEST_CASE("What a user has transferred counts until its period is over") {
  UserAccounts accounts;
  CHECK(accounts.left("anna", kMonthly, day("2027-01-01")) == 1000);
  accounts.charge("anna", kMonthly, day("2027-01-01"), 300);
  accounts.charge("anna", kMonthly, day("2027-01-31", 23), 300);
  CHECK(accounts.left("anna", kMonthly, day("2027-01-31", 23)) == 400);
  CHECK(accounts.left("bob", kMonthly, day("2027-01-31")) == 1000);
  CHECK(accounts.left("anna", kMonthly, day("2027-02-01", 0)) == 1000);
  accounts.charge("anna", kMonthly, day("2027-02-01", 0), 1500);
  CHECK(accounts.left("anna", kMonthly, day("2027-02-01")) == 0);
  CHECK(accounts.left("anna", {2000, QuotaPeriod::kMonth}, day("2027-02-01")) == 500);  // a reload
  CHECK(accounts.uses() == QuotaUses{{"anna", {"2027-02", 1500}}});
}

TEST_CASE("A quota without a period counts for ever, and one per day for a day") {
  UserAccounts accounts;
  accounts.charge("anna", {10, QuotaPeriod::kEver}, day("2027-01-01"), 4);
  accounts.charge("anna", {10, QuotaPeriod::kEver}, day("2037-01-01"), 4);
  CHECK(accounts.left("anna", {10, QuotaPeriod::kEver}, day("2047-01-01")) == 2);
  accounts.charge("bob", {10, QuotaPeriod::kDay}, day("2027-01-01"), 4);
  CHECK(accounts.left("bob", {10, QuotaPeriod::kDay}, day("2027-01-01", 23)) == 6);
  CHECK(accounts.left("bob", {10, QuotaPeriod::kDay}, day("2027-01-02", 0)) == 10);
  CHECK(accounts.left("bob", {10, QuotaPeriod::kMonth}, day("2027-01-01")) ==
        10);  // another length: a new account
}

TEST_CASE("A clock that runs behind gives nobody a new quota") {
  UserAccounts accounts;
  accounts.load({{"anna", {"2027-01", 900}}});
  CHECK(accounts.left("anna", kMonthly, day("1970-01-01")) == 100);
  accounts.charge("anna", kMonthly, day("1970-01-01"), 50);
  CHECK(accounts.left("anna", kMonthly, day("2027-01-05")) == 50);
}

TEST_CASE("A quota counts no bytes as no change, and no more than its number holds") {
  UserAccounts accounts;
  accounts.charge("anna", kMonthly, day("2027-01-01"), 0);
  CHECK(accounts.changes() == 0);
  accounts.charge("anna", kMonthly, day("2027-01-01"), ~std::uint64_t{0} - 1);
  accounts.charge("anna", kMonthly, day("2027-01-01"), 5);
  CHECK(accounts.uses().at("anna").bytes == ~std::uint64_t{0});
  CHECK(accounts.changes() == 2);
}

TEST_CASE("The accounts are in the file when the writer ends, and are read from it") {
  const Folder folder;
  CHECK(read_quota_file(folder.file()).value().empty());
  UserAccounts accounts;
  {
    QuotaWriter writer(folder.file(), accounts, "", unlogged);
    REQUIRE(writer.start());
    accounts.charge("anna", kMonthly, day("2027-01-01"), 7);
  }
  CHECK(read_quota_file(folder.file()).value() == accounts.uses());
  { QuotaWriter never_started(folder.file(), accounts, "", unlogged); }
}

TEST_CASE("A file that cannot be written costs one line, and so does the recovery") {
  const test::LogCapture log;
  const Folder folder;
  folder.remove();
  UserAccounts accounts;
  std::promise<std::function<void()>> posted;
  {
    QuotaWriter writer(folder.file(), accounts, "",
                       [&posted](std::function<void()> task) { posted.set_value(std::move(task)); });
    REQUIRE(writer.start());
    posted.get_future().get()();  // the first write has failed
    CHECK(log.count("quota-file is not written") == 1);
    folder.create();
    accounts.charge("anna", kMonthly, day("2027-01-01"), 7);
  }
  CHECK(log.count("quota-file is not written") == 1);
  CHECK(log.count("quota-file is written again") == 1);
  CHECK(read_quota_file(folder.file()).value() == accounts.uses());
}

TEST_CASE("A quota-file that cannot be read ends the start with its name") {
  const Folder folder;
  { std::ofstream(folder.file()) << "[]"; }
  CHECK(read_quota_file(folder.file()).error() ==
        "quota-file " + folder.file() + " is an array, expected an object");
  CHECK(read_quota_file("/").error().starts_with("quota-file / cannot be read: "));
}

}  // namespace kcptun::quota_test
