// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Fabrics of one process, joined by a hub that can also break them: for tests.
#pragma once

#include <cstddef>
#include <memory>

#include "transport/fabric/fabric.h"

namespace pinboard::transport {

class LoopbackState;

/// Connects the Fabrics it makes. Addresses are any "host:port"; port 0 is replaced by a free one.
/// Each Fabric belongs to one thread, as the contract says; the hub itself is thread-safe. Fabrics
/// may outlive the hub.
///
///   LoopbackHub hub;
///   auto server = hub.MakeFabric();
///   auto client = hub.MakeFabric();
///   hub.Stall(*client, true);  // from now on nothing reaches the client or leaves it
class LoopbackHub {
 public:
  LoopbackHub();
  ~LoopbackHub();
  LoopbackHub(const LoopbackHub&) = delete;
  LoopbackHub& operator=(const LoopbackHub&) = delete;

  std::unique_ptr<Fabric> MakeFabric();

  /// As if the process of `fabric` had been killed: every peer sees it closed (Unavailable),
  /// nothing it does has an effect any more, its own operations end with Unavailable.
  void Kill(const Fabric& fabric);
  /// As if the network had been cut for a moment: each connection of `fabric` is lost on both sides
  /// (Unavailable), with what is under way. It may connect again.
  void Cut(const Fabric& fabric);
  /// While stalled, what `fabric` sends and what is sent to it is held back, in order; one-sided
  /// operations of its own are held too. Its peers do not see it closed.
  void Stall(const Fabric& fabric, bool stalled);
  /// While true, Map gives segments whose direct() is empty: Put and Get are the only way.
  void RefuseDirectMapping(bool refuse);
  /// Segments of all Fabrics together; more than this is ResourceExhausted. Default 1 GiB.
  void SetMemoryLimit(std::size_t bytes);

 private:
  // Shared: Fabrics may outlive the hub and reach each other from their own threads.
  std::shared_ptr<LoopbackState> state_;
};

}  // namespace pinboard::transport
