// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/launch/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "absl/strings/str_cat.h"

namespace pinboard::app {
namespace {

std::vector<char*> Pointers(std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (std::string& text : strings) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

std::vector<std::string> Environment(const ChildOptions& options) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    bool replaced = false;
    for (const auto& [name, value] : options.environment) {
      replaced |= text.substr(0, text.find('=')) == name;
    }
    if (!replaced) all.emplace_back(text);
  }
  for (const auto& [name, value] : options.environment)
    all.push_back(absl::StrCat(name, "=", value));
  return all;
}

}  // namespace

absl::StatusOr<pid_t> StartChild(const ChildOptions& options) {
  if (access(options.program.c_str(), X_OK) != 0) {
    return absl::NotFoundError(absl::StrCat(options.program, " is not an executable file"));
  }
  std::vector<std::string> arguments = options.arguments;
  std::vector<std::string> environment = Environment(options);
  const std::vector<char*> argv = Pointers(arguments);
  const std::vector<char*> envp = Pointers(environment);
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) return absl::InternalError(absl::StrCat("fork: ", strerror(errno)));
  if (child > 0) return child;
  // Only async-signal-safe calls from here on.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(127);
  for (const auto& [ours, theirs] : options.descriptors) {
    if (ours == theirs) {
      fcntl(ours, F_SETFD, 0);
    } else {
      dup2(ours, theirs);
    }
  }
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  execve(options.program.c_str(), argv.data(), envp.data());
  _exit(127);
}

std::string DescribeExit(const std::string& who, int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    const int signal = WTERMSIG(wait_status);
    return absl::StrCat(who, " was killed by signal ", signal, " (", strsignal(signal), ")");
  }
  return absl::StrCat(who, " ended with exit code ", WEXITSTATUS(wait_status));
}

}  // namespace pinboard::app
