// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Telling a lost connection from a dead process.
#pragma once

#include "cache_service/protocol/messages.h"

namespace pinboard::cache_service {

/// This process: `host` is one value per boot of a machine and PID namespace, so that process ids
/// are only compared where they mean the same.
ProcessIdentity CurrentProcess();

/// True where the process is found running here, or cannot be looked for now. False where it has
/// ended (also while its parent has not collected it: its memory is gone by then), and for a
/// process of another host or PID namespace, about which nothing can be known.
bool IsRunningHere(const ProcessIdentity& process);

}  // namespace pinboard::cache_service
