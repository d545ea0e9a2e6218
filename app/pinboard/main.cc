// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "app/pinboard/commands.h"
#include "app/pinboard/common_flags.h"
#include "base/heap.h"
#include "base/locks.h"

namespace pinboard::app {
namespace {

constexpr char kHelp[] =
    R"(pinboard - a tensor-parallel model under a bounded KV cache that keeps what matters.

  pinboard generate ...   continue a text
  pinboard eval ...       compare policies on a suite: answers, fidelity, memory
  pinboard size ...       how much memory a model's KV cache takes, and takes under a budget
  pinboard stat ...       what a running pinboardd holds and has done
  pinboard inspect ...    whose pages it has, by group and sequence
  pinboard top ...        the counts of several, on a screen that follows
  pinboard bench ...      how many long contexts fit a cache, and how fast they decode; what load
                          a running pinboardd takes
  pinboard COMMAND --help
  pinboard --version

  pinboard generate --model models/tiny-llama --prompt "def main():" --max-tokens 64
  pinboard eval --model models/tiny-llama --suite builtin:said-once --tp 2
  pinboard size --model llama-3.1-8b --tokens 131072 --gpu-memory 40GiB
  pinboard stat --service 127.0.0.1:7700 --watch 2

The cache service that brings pages back is a program of its own, pinboardd; generate, eval and
bench throughput start one for the run unless --service says otherwise. Exit status: 0, 1 if the run
failed, 2 for wrong usage, 130 after Ctrl-C; one line on standard error says why.
)";

int Main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const std::string command = arguments.empty() ? "" : arguments.front();
  const auto rest = absl::MakeConstSpan(arguments).subspan(arguments.empty() ? 0 : 1);
  if (command == "generate") return GenerateCommand(rest, argv);
  if (command == "eval") return EvalCommand(rest, argv);
  if (command == "bench") return BenchCommand(rest, argv);
  if (command == "size") return SizeCommand(rest);
  if (command == "stat") return StatCommand(rest);
  if (command == "inspect") return InspectCommand(rest);
  if (command == "top") return TopCommand(rest);
  if (command == "--help" || command == "help") {
    std::fputs(kHelp, stdout);
    return 0;
  }
  if (command == "--version") {
    std::puts("pinboard " PINBOARD_VERSION);
    return 0;
  }
  return UsageError(absl::InvalidArgumentError(absl::StrCat(
      command.empty() ? "a command is missing" : absl::StrCat("unknown command '", command, "'"),
      ": generate, eval, size, stat, inspect, top or bench ('pinboard --help' shows how)")));
}

}  // namespace
}  // namespace pinboard::app

int main(int argc, char** argv) {
  pinboard::KeepFreedMemory();
  pinboard::LockWithoutLookingForCycles();
  return pinboard::app::Main(argc, argv);
}
