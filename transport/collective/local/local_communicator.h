// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A group whose ranks are threads of this process: tp 1, and tests.
#pragma once

#include <memory>

#include "transport/collective/communicator.h"

namespace pinboard::transport {

class LocalGroupState;

/// Hands out the communicators of one group. Each communicator belongs to one thread; destroying it
/// is that rank's death: the others get Unavailable naming it. Communicators may outlive the group.
class LocalGroup {
 public:
  /// Requires size >= 1.
  explicit LocalGroup(int size);

  /// Requires 0 <= rank < size; once per rank.
  std::unique_ptr<Communicator> Join(int rank);

 private:
  // Shared with the communicators, which live on threads of their own.
  std::shared_ptr<LocalGroupState> state_;
};

/// The group of one: every call returns at once.
std::unique_ptr<Communicator> MakeSoloCommunicator();

}  // namespace pinboard::transport
