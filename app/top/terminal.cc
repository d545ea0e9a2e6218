// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/top/terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "app/report/output_file.h"
#include "base/clock.h"
#include "base/taken_signals.h"

namespace pinboard::app {
namespace {

// Another screen and no cursor, and back.
constexpr char kEnter[] = "\x1b[?1049h\x1b[?25l";
constexpr char kLeave[] = "\x1b[?25h\x1b[?1049l";
constexpr char kHome[] = "\x1b[H";
constexpr char kEndOfLine[] = "\x1b[K\r\n";
constexpr char kEndOfScreen[] = "\x1b[J";

winsize SizeOf() {
  winsize size{};
  ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
  return size;
}

}  // namespace

Terminal::Terminal() : is_screen_(isatty(STDOUT_FILENO) == 1) {
  sigset_t taken;
  sigemptyset(&taken);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGWINCH, SIGTSTP}) sigaddset(&taken, signal);
  TakeSignals(taken);
  signals_ = signalfd(-1, &taken, SFD_CLOEXEC | SFD_NONBLOCK);
  if (!is_screen_) return;
  reads_keys_ = tcgetattr(STDIN_FILENO, &before_) == 0;
  if (reads_keys_) {
    termios keys = before_;
    keys.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    tcsetattr(STDIN_FILENO, TCSANOW, &keys);
  }
  static_cast<void>(WriteOutput("-", kEnter));
}

Terminal::~Terminal() {
  if (is_screen_) static_cast<void>(WriteOutput("-", kLeave));
  if (reads_keys_) tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
  close(signals_);
}

int Terminal::columns() const { return is_screen_ ? SizeOf().ws_col : 0; }
int Terminal::rows() const { return is_screen_ ? SizeOf().ws_row : 0; }

absl::Status Terminal::Draw(const std::string& text) const {
  if (!is_screen_) return WriteOutput("-", absl::StrCat(text, "\n"));
  return WriteOutput(
      "-", absl::StrCat(kHome, absl::StrReplaceAll(text, {{"\n", kEndOfLine}}), kEndOfScreen));
}

TerminalEvent Terminal::WaitUntil(absl::Time deadline) const {
  pollfd sources[] = {{signals_, POLLIN, 0}, {reads_keys_ ? STDIN_FILENO : -1, POLLIN, 0}};
  const auto left = std::clamp(deadline - SteadyNow(), absl::ZeroDuration(), absl::Hours(24));
  const timespec timeout = absl::ToTimespec(left);
  if (ppoll(sources, 2, &timeout, nullptr) <= 0) return {};
  signalfd_siginfo info{};
  if (read(signals_, &info, sizeof(info)) == sizeof(info)) {
    const auto signal = static_cast<int>(info.ssi_signo);
    return {.signal = signal == SIGWINCH || signal == SIGTSTP ? 0 : signal};
  }
  char key = 0;
  // A terminal that is gone reads as its end.
  const bool read_key = sources[1].revents != 0 && read(STDIN_FILENO, &key, 1) == 1;
  return {.quit = key == 'q', .signal = sources[1].revents != 0 && !read_key ? SIGHUP : 0};
}

}  // namespace pinboard::app
