// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "app/report/progress_line.h"

#include <unistd.h>

#include <cstdio>

namespace pinboard::app {

ProgressLine::ProgressLine(bool enabled) : shown_(enabled && isatty(STDERR_FILENO) == 1) {}

ProgressLine::~ProgressLine() { Clear(); }

void ProgressLine::Show(const std::string& text) {
  if (shown_) std::fprintf(stderr, "\r\x1b[K%s", text.c_str());
}

void ProgressLine::Clear() { Show(""); }

}  // namespace pinboard::app
