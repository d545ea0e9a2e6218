// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A program whose terminal the test holds.
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#include <string>
#include <vector>

namespace pinboard::app {

class PtyProgram {
 public:
  explicit PtyProgram(std::vector<std::string> arguments) {
    winsize size{.ws_row = 24, .ws_col = 100, .ws_xpixel = 0, .ws_ypixel = 0};
    // Held open, so that its settings can be seen after the program has ended.
    openpty(&master_, &terminal_, nullptr, nullptr, &size);
    tcgetattr(terminal_, &before_);
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    pid_ = fork();
    if (pid_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    close(master_);
    if (login_tty(terminal_) != 0) _exit(126);
    execv(argv[0], argv.data());
    _exit(127);
  }
  ~PtyProgram() {
    if (running_) kill(pid_, SIGKILL);
    Wait();
    close(master_);
    close(terminal_);
  }
  PtyProgram(const PtyProgram&) = delete;
  PtyProgram& operator=(const PtyProgram&) = delete;

  void Signal(int signal) const { kill(pid_, signal); }
  void Type(const std::string& keys) const {
    static_cast<void>(!write(master_, keys.data(), keys.size()));
  }
  /// All that was written to the terminal so far.
  const std::string& Screen() {
    pollfd source{master_, POLLIN, 0};
    char buffer[4096];
    while (poll(&source, 1, 10) == 1 && (source.revents & POLLIN) != 0) {
      const ssize_t bytes = read(master_, buffer, sizeof(buffer));
      if (bytes <= 0) break;
      screen_.append(buffer, static_cast<std::size_t>(bytes));
    }
    return screen_;
  }
  /// Forgets what was written, so that Screen begins anew.
  void ClearScreen() { screen_.clear(); }
  /// The exit code, or 128 + the signal that killed it.
  int Wait() {
    if (!running_) return code_;
    int status = 0;
    while (waitpid(pid_, &status, WNOHANG) == 0) Screen();
    Screen();
    running_ = false;
    code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return code_;
  }
  /// Whether the terminal works on lines and echoes them, as before.
  bool IsAsBefore() const {
    termios now{};
    tcgetattr(terminal_, &now);
    return now.c_lflag == before_.c_lflag && now.c_iflag == before_.c_iflag;
  }

 private:
  int master_ = -1;
  int terminal_ = -1;
  termios before_{};
  pid_t pid_ = -1;
  bool running_ = true;
  int code_ = -1;
  std::string screen_;
};

}  // namespace pinboard::app
