// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Signals that one thread of a program takes, whoever they come to.
#pragma once

#include <signal.h>

namespace pinboard {

/// For programs: from now on the calling thread alone takes these signals, by sigtimedwait or a
/// signalfd. They are blocked in it and in the threads that it starts; threads that were there
/// before, as OpenBLAS starts them while it is loaded, hand on to it what comes to them.
void TakeSignals(const sigset_t& signals);

}  // namespace pinboard
