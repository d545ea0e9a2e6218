// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A program under test: started, watched, signalled, and never left behind.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

namespace pinboard::app {

inline std::string BuiltProgram(const std::string& name) {
  return std::string(std::getenv("PINBOARD_BINARY_DIR")) + "/bin/" + name;
}

inline std::string FileText(const std::filesystem::path& path) {
  std::ifstream file(path);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

class Program {
 public:
  explicit Program(std::vector<std::string> arguments)
      : directory_(
            std::filesystem::temp_directory_path() /
            ("pinboard-program-" + std::to_string(getpid()) + "-" + std::to_string(++Counter()))) {
    std::filesystem::create_directories(directory_);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    Redirect(directory_ / "stdout", STDOUT_FILENO);
    Redirect(directory_ / "stderr", STDERR_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
  ~Program() {
    Signal(SIGKILL);
    Wait();
    std::filesystem::remove_all(directory_);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  pid_t pid() const { return pid_; }
  void Signal(int signal) const {
    if (running_) kill(pid_, signal);
  }
  /// The exit code, or 128 + the signal that killed it.
  int Wait() {
    if (running_) {
      int status = 0;
      waitpid(pid_, &status, 0);
      running_ = false;
      code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    return code_;
  }
  bool Running() {
    siginfo_t info{};
    return running_ && waitid(P_PID, pid_, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
  }
  /// What it has written so far.
  std::string Out() const { return FileText(directory_ / "stdout"); }
  std::string Err() const { return FileText(directory_ / "stderr"); }

  /// Processes it has started that still run, in the order they were started.
  std::vector<pid_t> Children() const {
    std::ifstream file("/proc/" + std::to_string(pid_) + "/task/" + std::to_string(pid_) +
                       "/children");
    return {std::istream_iterator<pid_t>(file), {}};
  }

 private:
  static int& Counter() {
    static int counter = 0;
    return counter;
  }
  static void Redirect(const std::filesystem::path& path, int to) {
    const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    dup2(fd, to);
    close(fd);
  }

  std::filesystem::path directory_;
  pid_t pid_ = -1;
  bool running_ = true;
  int code_ = -1;
};

inline bool IsOneLine(const std::string& text) {
  return !text.empty() && text.find('\n') == text.size() - 1;
}

/// Polls; the test's own timeout bounds it.
template <typename Condition>
void WaitUntil(Condition condition) {
  while (!condition()) std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

/// Ended, whether or not its parent has collected it.
inline bool IsGone(pid_t pid) {
  const std::string stat = FileText("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t name_end = stat.rfind(')');
  return name_end == std::string::npos || stat.compare(name_end, 3, ") Z") == 0;
}

}  // namespace pinboard::app
