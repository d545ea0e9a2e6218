// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// The commands of the program.
#pragma once

#include <string>

#include "absl/types/span.h"

namespace pinboard::app {

/// `arguments` follow the command's name; `argv` is the whole command line, which the ranks'
/// processes of a command that has some are started with again. Return the exit code: 0, 1 after a
/// run-time failure, 2 for wrong usage, 130 after Ctrl-C.
int BenchCommand(absl::Span<const std::string> arguments, char** argv);
int ServiceBenchCommand(absl::Span<const std::string> arguments);
int EvalCommand(absl::Span<const std::string> arguments, char** argv);
int GenerateCommand(absl::Span<const std::string> arguments, char** argv);
int InspectCommand(absl::Span<const std::string> arguments);
int SizeCommand(absl::Span<const std::string> arguments);
int StatCommand(absl::Span<const std::string> arguments);
int TopCommand(absl::Span<const std::string> arguments);

}  // namespace pinboard::app
