// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Programs that tests start, stop and kill.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

namespace pinboard {

/// A running program; killed and collected when destroyed.
class ChildProcess {
 public:
  /// `path_and_arguments[0]` is the program. Its standard output can be read line by line.
  explicit ChildProcess(std::vector<std::string> path_and_arguments) {
    int output[2];
    if (pipe2(output, O_CLOEXEC) != 0) std::abort();
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
    std::vector<char*> arguments;
    arguments.reserve(path_and_arguments.size() + 1);
    for (std::string& argument : path_and_arguments) arguments.push_back(argument.data());
    arguments.push_back(nullptr);
    if (posix_spawn(&pid_, arguments[0], &actions, nullptr, arguments.data(), environ) != 0) {
      pid_ = -1;
    }
    posix_spawn_file_actions_destroy(&actions);
    close(output[1]);
    output_ = output[0];
  }
  ChildProcess(ChildProcess&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), output_(std::exchange(other.output_, -1)) {}
  ChildProcess& operator=(ChildProcess&&) = delete;
  ~ChildProcess() {
    if (pid_ > 0) {
      Signal(SIGKILL);
      Wait();
    }
    if (output_ >= 0) close(output_);
  }

  pid_t pid() const { return pid_; }
  /// Requires that it was started and not waited for: kill(-1) would reach everybody.
  void Signal(int signal) const {
    if (pid_ <= 0) std::abort();
    kill(pid_, signal);
  }
  /// The next line without its end, or what there was before the end of the output.
  std::string ReadLine() const {
    std::string line;
    char c = 0;
    while (read(output_, &c, 1) == 1 && c != '\n') line.push_back(c);
    return line;
  }
  /// False also where it could not be started.
  bool IsRunning() const {
    siginfo_t ended{};
    return waitid(P_PID, static_cast<id_t>(pid_), &ended, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           ended.si_pid == 0;
  }
  /// Returns once it has stopped (SIGSTOP) or ended.
  void WaitUntilStopped() const { waitpid(pid_, nullptr, WUNTRACED); }
  /// The exit status, or -signal.
  int Wait() {
    int status = 0;
    waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  }

 private:
  pid_t pid_ = -1;
  int output_ = -1;
};

/// A program of this build.
inline std::string BuiltProgram(const std::string& path) {
  const char* build = std::getenv("PINBOARD_BINARY_DIR");
  return (build != nullptr ? std::string(build) : std::string(".")) + "/" + path;
}

}  // namespace pinboard
