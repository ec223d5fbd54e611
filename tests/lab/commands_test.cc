#include "tests/lab/commands.h"

#include <catch2/catch.hpp>

namespace kcptun::lab {
namespace {

LinkSettings after(const std::string& line, const LinkSettings& before = {}) {
  Result<Command> command = parse_command(line);
  REQUIRE(command);
  Result<LinkSettings> settings = changed(before, std::get<SetCommand>(*command).changes);
  REQUIRE(settings);
  return *settings;
}

TEST_CASE("each setting arrives in its unit") {
  const LinkSettings s = after(
      "set both delay_ms 25 jitter_ms 0.5 rate 12500000 queue 524288 loss 0.02 burst_loss 0.01 burst_length "
      "8 reorder "
      "0.001 reorder_ms 3 mtu 1400 fragments 1 blackhole 1");
  CHECK(s.delay == std::chrono::milliseconds(25));
  CHECK(s.jitter == std::chrono::microseconds(500));
  CHECK(s.rate == 12'500'000);
  CHECK(s.queue == 524'288);
  CHECK(s.loss == 0.02);
  CHECK(s.burst_loss == 0.01);
  CHECK(s.burst_length == 8);
  CHECK(s.reorder == 0.001);
  CHECK(s.reorder_delay == std::chrono::milliseconds(3));
  CHECK(s.mtu == 1400);
  CHECK(s.fragments);
  CHECK(s.black_hole);
}

TEST_CASE("a change leaves the other settings alone") {
  const LinkSettings s = after("set up loss 0", after("set up delay_ms 5 loss 0.5"));
  CHECK(s.loss == 0);
  CHECK(s.delay == std::chrono::milliseconds(5));
}

TEST_CASE("directions and plain commands are told apart") {
  CHECK(std::get<SetCommand>(*parse_command("set up loss 1")).way == Way::kUp);
  CHECK(std::get<SetCommand>(*parse_command("set down loss 1")).way == Way::kDown);
  CHECK(std::get<SetCommand>(*parse_command("  set\tboth loss 1 \r")).way == Way::kBoth);
  CHECK(std::holds_alternative<CountersCommand>(*parse_command("counters")));
  CHECK(std::holds_alternative<ResetCommand>(*parse_command("reset")));
  CHECK(std::holds_alternative<QuitCommand>(*parse_command("quit")));
}

TEST_CASE("wrong commands name the word, the value and the range") {
  const auto error = [](const char* line) {
    Result<Command> command = parse_command(line);
    REQUIRE_FALSE(command);
    return command.error();
  };
  CHECK(error("set both loss 1.01") == "loss '1.01' is not a number from 0 to 1");
  CHECK(error("set both loss -0.1") == "loss '-0.1' is not a number from 0 to 1");
  CHECK(error("set both loss nan") == "loss 'nan' is not a number from 0 to 1");
  CHECK(error("set both loss 1x") == "loss '1x' is not a number from 0 to 1");
  CHECK(error("set both burst_length 0.5") == "burst_length '0.5' is not a number from 1 to 10000");
  CHECK(error("set both speed 1") == "unknown setting 'speed'");
  CHECK(error("set left loss 1") == "'left' is not up, down or both");
  CHECK(error("set both") == "set wants: up|down|both, then SETTING VALUE pairs");
  CHECK(error("set both loss") == "set wants: up|down|both, then SETTING VALUE pairs");
  CHECK(error("") == "no command");
  CHECK(error("counters now").starts_with("'counters now' is not one of"));
}

TEST_CASE("a rate wants a queue of two packets") {
  const auto try_set = [](const std::string& line) {
    return changed({}, std::get<SetCommand>(*parse_command(line)).changes);
  };
  CHECK(try_set("set both rate 1000 queue 3000"));
  CHECK_FALSE(try_set("set both rate 1000 queue 2999"));
  CHECK_FALSE(try_set("set both rate 1000"));
  CHECK(try_set("set both rate 1000").error() == "a rate wants a queue of 3000 bytes or more, not 0");
}

TEST_CASE("bursts with one packet between them are the most that can be") {
  const auto try_set = [](const std::string& line) {
    return changed({}, std::get<SetCommand>(*parse_command(line)).changes);
  };
  CHECK(try_set("set both burst_length 4 burst_loss 0.8"));
  CHECK(try_set("set both burst_length 4 burst_loss 0.81").error() ==
        "burst_loss 0.81 is more than bursts of 4 packets can take: 0.8");
}

TEST_CASE("every setting is described") {
  const std::string text = describe_fields();
  for (const char* name : {"delay_ms", "jitter_ms", "rate", "queue", "loss", "burst_loss", "burst_length",
                           "reorder", "reorder_ms", "mtu", "fragments", "blackhole"})
    CHECK(text.find("  " + std::string(name) + " ") != std::string::npos);
}

}  // namespace
}  // namespace kcptun::lab
