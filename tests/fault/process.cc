// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "tests/fault/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

extern char** environ;

namespace pinboard::testing {

Process::Process(std::vector<std::string> command, const std::vector<std::string>& environment,
                 const std::string& errors) {
  int output[2];
  if (pipe2(output, O_CLOEXEC) != 0) std::abort();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, output[1], STDOUT_FILENO);
  if (!errors.empty()) {
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, errors.c_str(),
                                     O_WRONLY | O_CREAT | O_APPEND, 0600);
  }
  std::vector<char*> arguments;
  for (std::string& argument : command) arguments.push_back(argument.data());
  arguments.push_back(nullptr);
  std::vector<char*> variables;
  for (const std::string& variable : environment)
    variables.push_back(const_cast<char*>(variable.c_str()));
  for (char** variable = environ; *variable != nullptr; ++variable) variables.push_back(*variable);
  variables.push_back(nullptr);
  if (posix_spawn(&pid_, arguments[0], &actions, nullptr, arguments.data(), variables.data()) !=
      0) {
    std::perror(command[0].c_str());
    std::abort();
  }
  posix_spawn_file_actions_destroy(&actions);
  close(output[1]);
  output_ = output[0];
}

Process::~Process() {
  Signal(SIGKILL);
  if (state_ != State::kEnded) waitpid(pid_, nullptr, 0);
  close(output_);
}

std::string Process::ReadLine() const {
  std::string line;
  char c = 0;
  while (read(output_, &c, 1) == 1 && c != '\n') line.push_back(c);
  return line;
}

void Process::Signal(int signal) {
  if (Look() != State::kEnded) kill(pid_, signal);
}

Process::State Process::Look() {
  int status = 0;
  if (state_ == State::kEnded || waitpid(pid_, &status, WNOHANG | WUNTRACED | WCONTINUED) != pid_) {
    return state_;
  }
  if (WIFSTOPPED(status)) return state_ = State::kStopped;
  if (WIFCONTINUED(status)) return state_ = State::kRunning;
  outcome_ = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
  return state_ = State::kEnded;
}

}  // namespace pinboard::testing
