// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <new>

#include "tests/shard/toy_memory.h"

namespace pinboard::testing {

Backend ToyBackend() { return Backend::kCpu; }
void* AllocateToyMemory(std::size_t bytes) { return ::operator new(bytes, std::nothrow); }
void FreeToyMemory(void* memory) { ::operator delete(memory); }
void AwaitToyBackend() {}
void CopyToyMemory(void* to, const void* from, std::size_t bytes) { std::memcpy(to, from, bytes); }

}  // namespace pinboard::testing
