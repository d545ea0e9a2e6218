// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "transport/fabric/ucx/operation_table.h"

#include <algorithm>
#include <utility>

namespace pinboard::transport {

Operation* OperationTable::Start(PeerId peer, int parts, Fabric::Done done) {
  if (idle_.empty()) {
    all_.push_back(std::make_unique<Operation>());
    idle_.push_back(all_.back().get());
  }
  Operation* operation = idle_.back();
  idle_.pop_back();
  operation->table = this;
  operation->peer = peer;
  operation->parts = parts;
  operation->bytes = 0;
  operation->done = std::move(done);
  operation->pending = true;
  operation->status = absl::OkStatus();
  return operation;
}

void OperationTable::Wait(Operation* operation) {
  if (std::exchange(operation->waiting, true)) return;
  waiting_bytes_[operation->peer] += operation->bytes + sizeof(Operation);
}

std::size_t OperationTable::WaitingBytes(PeerId peer) const {
  const auto found = waiting_bytes_.find(peer);
  return found == waiting_bytes_.end() ? 0 : found->second;
}

void OperationTable::EndUcxPart(Operation* operation, const absl::Status& status) {
  if (!status.ok()) broken_.push_back(operation->peer);
  EndPart(operation, status);
}

void OperationTable::EndPart(Operation* operation, const absl::Status& status) {
  if (operation->status.ok()) operation->status = status;
  if (--operation->parts > 0) return;
  if (std::exchange(operation->waiting, false)) {
    const auto found = waiting_bytes_.find(operation->peer);
    found->second -= operation->bytes + sizeof(Operation);
    if (found->second == 0) waiting_bytes_.erase(found);
  }
  MakeDue(*operation, operation->status);
  pool_->Put(std::exchange(operation->staged, {}));
  operation->reads = nullptr;
  idle_.push_back(operation);
}

void OperationTable::MakeDue(Operation& operation, const absl::Status& status) {
  if (!std::exchange(operation.pending, false)) return;
  if (operation.done) due_.push_back({std::exchange(operation.done, nullptr), status});
}

void OperationTable::Abandon(PeerId peer, const absl::Status& status) {
  for (const auto& operation : all_) {
    if (operation->peer == peer) MakeDue(*operation, status);
  }
}

void OperationTable::AbandonAll(const absl::Status& status) {
  for (const auto& operation : all_) MakeDue(*operation, status);
}

void OperationTable::EndAtOnce(Fabric::Done done, const absl::Status& status) {
  if (done) due_.push_back({std::move(done), status});
}

int OperationTable::Outstanding(PeerId peer) const {
  return static_cast<int>(std::count_if(all_.begin(), all_.end(), [peer](const auto& operation) {
    return operation->peer == peer && operation->pending;
  }));
}

bool OperationTable::HasOpenParts(PeerId peer) const {
  return std::any_of(all_.begin(), all_.end(), [peer](const auto& operation) {
    return operation->peer == peer && operation->parts > 0;
  });
}

bool OperationTable::RunDue() {
  if (due_.empty()) return false;
  running_.swap(due_);
  for (Completion& completion : running_) completion.done(completion.status);
  running_.clear();
  return true;
}

}  // namespace pinboard::transport
