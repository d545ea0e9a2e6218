// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Three real members that keep each page twice, clients of all three, and what is asked of them:
// for tests that play one fault at a time.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "cache_service/page_store.h"
#include "tests/fault/board.h"
#include "tests/fault/process.h"

namespace pinboard::testing {

/// Those that are started end with this.
class FaultMembers {
 public:
  static constexpr int kMembers = 3;
  static constexpr int kClients = 2;
  /// Runs a task on the host of member `host`, or of the clients: kMembers.
  using RunAt = std::function<void(int host, const std::function<void()>& task)>;

  /// For members of one host, on its loopback.
  static std::vector<std::string> FreeAddresses();

  /// `addresses`: of each member; `options`: further arguments of each, which say who the members
  /// are. Needs a directory for a file.
  FaultMembers(std::vector<std::string> addresses, std::vector<std::string> options,
               const std::string& directory, RunAt run_at);
  ~FaultMembers();
  FaultMembers(const FaultMembers&) = delete;
  FaultMembers& operator=(const FaultMembers&) = delete;

  /// `fault` is its PINBOARD_FAULT, empty for none. False: it does not start.
  bool StartMember(int member, const std::string& fault = "");
  void KillMember(int member);
  /// Until it is started again.
  Process& member(int member) { return *members_[member]; }
  void StartClients();

  /// A client of one member alone; null: no connection.
  std::unique_ptr<cache_service::PageStore> Connect(int member);
  /// Each member has both connections with both others, and its copies.
  bool AreWell();
  /// No page of this member has a copy too few.
  bool HasItsCopies(int member);

  /// Pages that each client has read so far.
  std::vector<std::uint64_t> Hits();
  /// Ends the clients. What went wrong; empty: nothing.
  std::string EndClients(absl::Duration patience);
  /// As FindMistakes, of all members.
  std::string FindMembersMistakes();

  /// 48 pages in three extents, from this sequence on.
  static std::vector<cache_service::PageRef> Pages(std::uint64_t first_sequence);
  static bool Publish(cache_service::PageStore& store, const cache_service::PageRef& page);
  /// How many of these are read by the deadline of a fetch, each with its own bytes; -1 where one
  /// has others.
  static int CountRead(cache_service::PageStore& store,
                       const std::vector<cache_service::PageRef>& pages);
  static bool Await(const std::function<bool()>& so, absl::Duration patience);

 private:
  /// None: it does not answer.
  std::optional<std::map<std::string, std::uint64_t>> CountsOf(int member);

  const std::vector<std::string> addresses_;
  const std::vector<std::string> options_;
  const RunAt run_at_;
  const std::string board_path_;
  SharedBoard board_;
  std::array<std::unique_ptr<Process>, kMembers> members_;
  std::array<std::unique_ptr<Process>, kClients> clients_;
};

}  // namespace pinboard::testing
