// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Services side by side, as a screen shows them.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "app/top/service_watcher.h"

namespace pinboard::app {

/// One block for each service: its arena, then what it does a second between its last two samples
/// ("-" where there is one), how long it works on a message, and what its clients hold; one line
/// for a service that is gone. Lines end with a newline. Where `columns` and `rows` are not 0, no
/// line is longer and the last line says how many services found no room.
std::string TopScreen(absl::Time now, const std::vector<ServiceView>& services, int columns,
                      int rows);

}  // namespace pinboard::app
