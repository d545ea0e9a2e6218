// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// To be loaded before a program's libraries: writes once a second how many bytes of its heap are in
// use, 64 bits, to the file PINBOARD_TEST_HEAP. Looking takes as long as there are freed pieces:
// this is for small heaps.
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>

namespace {

void* Watch(void* path) {
  const int fd = open(static_cast<const char*>(path), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  while (true) {
    const struct mallinfo2 heap = mallinfo2();
    const std::uint64_t bytes = heap.uordblks + heap.hblkhd;
    if (pwrite(fd, &bytes, sizeof(bytes), 0) != sizeof(bytes)) return nullptr;
    sleep(1);
  }
}

__attribute__((constructor)) void Start() {
  char* const path = std::getenv("PINBOARD_TEST_HEAP");
  if (path == nullptr) return;
  // The program's signals are for its own threads.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pthread_t thread;
  if (pthread_create(&thread, nullptr, Watch, path) == 0) pthread_detach(thread);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

}  // namespace
