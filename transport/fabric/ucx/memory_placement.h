// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Where and on what pages the kernel is asked to lay a large piece of shared memory.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"

namespace pinboard::transport {

/// Less than this is not worth asking for.
inline constexpr std::size_t kHugePageBytes = std::size_t{2} << 20;

/// For memory that this process allocated and nobody has touched: huge pages, and interleaved over
/// the machine's memory nodes, for it serves ranks on all of them. What cannot be had is done
/// without, and said in the log, once.
void PlaceSharedMemory(absl::Span<std::byte> memory);

/// The owner's wish does not count where another process touches the memory first, so each that
/// maps it asks. Unavailable: the kernel gives none to shared memory; the message says what to do.
absl::Status AskForHugePages(absl::Span<std::byte> memory);

/// Requires memory that nobody has touched. Errors: what the kernel says.
absl::Status InterleaveOver(const std::vector<int>& nodes, absl::Span<std::byte> memory);

/// Whether a setting as in .../transparent_hugepage/shmem_enabled, "always within_size [advise]
/// never deny force", gives huge pages to shared memory that asks.
bool GivesHugePages(const std::string& setting);

/// The node numbers in a list as in /sys/devices/system/node/has_memory: "0-2,4". Empty where it is
/// none.
std::vector<int> ParseNodeList(const std::string& list);

}  // namespace pinboard::transport
