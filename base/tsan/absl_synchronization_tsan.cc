// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Tells ThreadSanitizer what absl::Mutex, CondVar, Notification and BlockingCounter do. The
// system's Abseil is compiled without it, so every lock would go unseen and every guarded access
// look like a race. Linked into ThreadSanitizer builds alone: these definitions stand in front of
// the shared library's and call them. Between a pre_ and its post_ call ThreadSanitizer ignores
// memory accesses, as it must while one thread evaluates another's condition.
#include <dlfcn.h>
#include <sanitizer/tsan_interface.h>

#include <cstdio>
#include <cstdlib>

#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace {

constexpr unsigned kWriter = 0;
constexpr unsigned kReader = __tsan_mutex_read_lock;

/// The definition behind the one in this file.
void* Next(const char* mangled) {
  void* const symbol = dlsym(RTLD_NEXT, mangled);
  if (symbol != nullptr) return symbol;
  std::fprintf(stderr, "absl_synchronization_tsan: this Abseil has no %s: correct the name\n",
               mangled);
  std::abort();
}

#define PB_ABSL "4absl7debian3"

// Calls the library's member function `name` on `object`; the first use looks it up. PB_RUN is for
// functions that return nothing and returns true.
#define PB_NEXT(result, name, object, parameters, ...)                            \
  [&] {                                                                           \
    static auto* const next = reinterpret_cast<result(*) parameters>(Next(name)); \
    return next(object __VA_OPT__(, ) __VA_ARGS__);                               \
  }()
#define PB_RUN(...) (PB_NEXT(void, __VA_ARGS__), true)

thread_local bool inside = false;

/// Runs `call` between `before` and `after`. Where the library calls a function of this file on its
/// own account, `call` alone is run: the outermost call says what happens to the lock.
template <typename Before, typename Call, typename After>
auto Annotated(Before before, Call call, After after) {
  if (inside) return call();
  before();
  inside = true;
  const auto result = call();
  inside = false;
  after(result);
  return result;
}

/// `call` has the lock when it returns.
template <typename Call>
bool Taking(void* mutex, unsigned how, Call call) {
  return Annotated([&] { __tsan_mutex_pre_lock(mutex, how); }, call,
                   [&](bool) { __tsan_mutex_post_lock(mutex, how, 0); });
}

/// `call` says whether it has the lock.
template <typename Call>
bool Trying(void* mutex, unsigned how, Call call) {
  how |= __tsan_mutex_try_lock;
  return Annotated([&] { __tsan_mutex_pre_lock(mutex, how); }, call,
                   [&](bool taken) {
                     __tsan_mutex_post_lock(mutex,
                                            how | (taken ? 0U : __tsan_mutex_try_lock_failed), 0);
                   });
}

/// `call` gives up the lock.
template <typename Call>
void Releasing(void* mutex, unsigned how, Call call) {
  Annotated([&] { __tsan_mutex_pre_unlock(mutex, how); }, call,
            [&](bool) { __tsan_mutex_post_unlock(mutex, how); });
}

/// `call` gives up the writer's lock and has it again when it returns.
template <typename Call>
bool Waiting(void* mutex, Call call) {
  return Annotated(
      [&] {
        __tsan_mutex_pre_unlock(mutex, kWriter);
        __tsan_mutex_post_unlock(mutex, kWriter);
        __tsan_mutex_pre_lock(mutex, kWriter);
      },
      call, [&](bool) { __tsan_mutex_post_lock(mutex, kWriter, 0); });
}

}  // namespace

namespace absl {
ABSL_NAMESPACE_BEGIN

Mutex::~Mutex() {
  __tsan_mutex_destroy(this, 0);
  PB_RUN("_ZN" PB_ABSL "5MutexD1Ev", this, (Mutex*));
}

void Mutex::Lock() {
  Taking(this, kWriter, [&] { return PB_RUN("_ZN" PB_ABSL "5Mutex4LockEv", this, (Mutex*)); });
}
void Mutex::ReaderLock() {
  Taking(this, kReader,
         [&] { return PB_RUN("_ZN" PB_ABSL "5Mutex10ReaderLockEv", this, (Mutex*)); });
}
bool Mutex::TryLock() {
  return Trying(this, kWriter,
                [&] { return PB_NEXT(bool, "_ZN" PB_ABSL "5Mutex7TryLockEv", this, (Mutex*)); });
}
bool Mutex::ReaderTryLock() {
  return Trying(this, kReader, [&] {
    return PB_NEXT(bool, "_ZN" PB_ABSL "5Mutex13ReaderTryLockEv", this, (Mutex*));
  });
}
void Mutex::Unlock() {
  Releasing(this, kWriter, [&] { return PB_RUN("_ZN" PB_ABSL "5Mutex6UnlockEv", this, (Mutex*)); });
}
void Mutex::ReaderUnlock() {
  Releasing(this, kReader,
            [&] { return PB_RUN("_ZN" PB_ABSL "5Mutex12ReaderUnlockEv", this, (Mutex*)); });
}

void Mutex::LockWhen(const Condition& condition) {
  Taking(this, kWriter, [&] {
    return PB_RUN("_ZN" PB_ABSL "5Mutex8LockWhenERKNS0_9ConditionE", this,
                  (Mutex*, const Condition&), condition);
  });
}
bool Mutex::LockWhenWithTimeout(const Condition& condition, Duration timeout) {
  return Taking(this, kWriter, [&] {
    return PB_NEXT(bool,
                   "_ZN" PB_ABSL "5Mutex19LockWhenWithTimeoutERKNS0_9ConditionENS0_8DurationE",
                   this, (Mutex*, const Condition&, Duration), condition, timeout);
  });
}
bool Mutex::LockWhenWithDeadline(const Condition& condition, Time deadline) {
  return Taking(this, kWriter, [&] {
    return PB_NEXT(bool, "_ZN" PB_ABSL "5Mutex20LockWhenWithDeadlineERKNS0_9ConditionENS0_4TimeE",
                   this, (Mutex*, const Condition&, Time), condition, deadline);
  });
}

void Mutex::Await(const Condition& condition) {
  Waiting(this, [&] {
    return PB_RUN("_ZN" PB_ABSL "5Mutex5AwaitERKNS0_9ConditionE", this, (Mutex*, const Condition&),
                  condition);
  });
}
bool Mutex::AwaitWithTimeout(const Condition& condition, Duration timeout) {
  return Waiting(this, [&] {
    return PB_NEXT(bool, "_ZN" PB_ABSL "5Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE",
                   this, (Mutex*, const Condition&, Duration), condition, timeout);
  });
}
bool Mutex::AwaitWithDeadline(const Condition& condition, Time deadline) {
  return Waiting(this, [&] {
    return PB_NEXT(bool, "_ZN" PB_ABSL "5Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE",
                   this, (Mutex*, const Condition&, Time), condition, deadline);
  });
}

void CondVar::Wait(Mutex* mutex) {
  Waiting(mutex, [&] {
    return PB_RUN("_ZN" PB_ABSL "7CondVar4WaitEPNS0_5MutexE", this, (CondVar*, Mutex*), mutex);
  });
}
bool CondVar::WaitWithTimeout(Mutex* mutex, Duration timeout) {
  return Waiting(mutex, [&] {
    return PB_NEXT(bool, "_ZN" PB_ABSL "7CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE", this,
                   (CondVar*, Mutex*, Duration), mutex, timeout);
  });
}
bool CondVar::WaitWithDeadline(Mutex* mutex, Time deadline) {
  return Waiting(mutex, [&] {
    return PB_NEXT(bool, "_ZN" PB_ABSL "7CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE", this,
                   (CondVar*, Mutex*, Time), mutex, deadline);
  });
}

// HasBeenNotified is inline and reads the flag that lies behind the mutex: its address carries the
// order.
namespace {
void* Flag(const Notification* notification) {
  return const_cast<char*>(reinterpret_cast<const char*>(notification)) + sizeof(Mutex);
}
bool Notified(const Notification* notification, bool in_time) {
  if (in_time) __tsan_acquire(Flag(notification));
  return in_time;
}
}  // namespace

void Notification::Notify() {
  __tsan_release(Flag(this));
  PB_RUN("_ZN" PB_ABSL "12Notification6NotifyEv", this, (Notification*));
}
void Notification::WaitForNotification() const {
  Notified(this, PB_RUN("_ZNK" PB_ABSL "12Notification19WaitForNotificationEv", this,
                        (const Notification*)));
}
bool Notification::WaitForNotificationWithTimeout(Duration timeout) const {
  return Notified(
      this,
      PB_NEXT(bool, "_ZNK" PB_ABSL "12Notification30WaitForNotificationWithTimeoutENS0_8DurationE",
              this, (const Notification*, Duration), timeout));
}
bool Notification::WaitForNotificationWithDeadline(Time deadline) const {
  return Notified(
      this,
      PB_NEXT(bool, "_ZNK" PB_ABSL "12Notification31WaitForNotificationWithDeadlineENS0_4TimeE",
              this, (const Notification*, Time), deadline));
}

bool BlockingCounter::DecrementCount() {
  __tsan_release(this);
  return PB_NEXT(bool, "_ZN" PB_ABSL "15BlockingCounter14DecrementCountEv", this,
                 (BlockingCounter*));
}
void BlockingCounter::Wait() {
  PB_RUN("_ZN" PB_ABSL "15BlockingCounter4WaitEv", this, (BlockingCounter*));
  __tsan_acquire(this);
}

ABSL_NAMESPACE_END
}  // namespace absl
