// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A client for tests to kill: leases pages, pins what it can, says so, and waits.
//   lease_holder ADDRESS COUNT BYTES
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "tests/cache_service/daemon.h"
#include "tests/cache_service/test_pages.h"

int main(int argc, char** argv) {
  using namespace pinboard::cache_service;  // NOLINT: a program of one function
  if (argc != 4) return 2;
  const auto store = ConnectOverUcx(argv[1]);
  if (!store.ok()) return 1;
  const auto leases = (*store)->Lease(std::atoi(argv[2]), std::atoi(argv[3]), Soon());
  if (!leases.ok()) return 1;
  std::puts("holding");
  std::fflush(stdout);
  while (true) pause();
}
