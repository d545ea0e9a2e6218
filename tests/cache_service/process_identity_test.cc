// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include "cache_service/protocol/process_identity.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

namespace pinboard::cache_service {
namespace {

/// A child that tells its identity and waits to be killed.
class Child {
 public:
  Child() {
    int told[2];
    EXPECT_EQ(pipe(told), 0);
    pid_ = fork();
    if (pid_ == 0) {
      const ProcessIdentity identity = CurrentProcess();
      if (write(told[1], &identity, sizeof(identity)) != sizeof(identity)) _exit(1);
      while (true) pause();
    }
    char bytes[sizeof(identity_)];
    EXPECT_EQ(read(told[0], bytes, sizeof(bytes)), sizeof(bytes));
    std::memcpy(&identity_, bytes, sizeof(bytes));
    close(told[0]);
    close(told[1]);
  }
  ~Child() {
    Signal(SIGKILL);
    Collect();
  }
  const ProcessIdentity& identity() const { return identity_; }
  void Signal(int signal) const {
    if (pid_ > 0) kill(pid_, signal);  // kill(-1) would reach everybody
  }
  void Collect() {
    if (pid_ > 0) waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
  void WaitUntilDeadButNotCollected() const {
    siginfo_t info;
    waitid(P_PID, pid_, &info, WEXITED | WNOWAIT);
  }

 private:
  pid_t pid_ = -1;
  ProcessIdentity identity_;
};

TEST(ProcessIdentityTest, ThisProcessRuns) { EXPECT_TRUE(IsRunningHere(CurrentProcess())); }

TEST(ProcessIdentityTest, AKilledProcessIsDeadBeforeItsParentCollectsIt) {
  Child child;
  EXPECT_TRUE(IsRunningHere(child.identity()));
  child.Signal(SIGKILL);
  child.WaitUntilDeadButNotCollected();
  EXPECT_FALSE(IsRunningHere(child.identity()));
  child.Collect();
  EXPECT_FALSE(IsRunningHere(child.identity()));
}

TEST(ProcessIdentityTest, AStoppedProcessStillRuns) {
  Child child;
  child.Signal(SIGSTOP);
  EXPECT_TRUE(IsRunningHere(child.identity()));
}

// As where the service has no descriptors left: what it holds is given to nobody else.
TEST(ProcessIdentityTest, AProcessThatCannotBeLookedForMayRun) {
  const ProcessIdentity here = CurrentProcess();
  ASSERT_TRUE(IsRunningHere(here));
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const rlimit none{0, before.rlim_max};
  setrlimit(RLIMIT_NOFILE, &none);
  const bool may_run = IsRunningHere(here);
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_TRUE(may_run);
}

TEST(ProcessIdentityTest, AProcessThatCouldNotLookAtItselfMayRun) {
  ProcessIdentity unseen = CurrentProcess();
  unseen.start_ticks = 0;
  EXPECT_TRUE(IsRunningHere(unseen));
}

TEST(ProcessIdentityTest, AnotherProcessWithTheSameNumberIsNotTheOne) {
  ProcessIdentity earlier = CurrentProcess();
  --earlier.start_ticks;
  EXPECT_FALSE(IsRunningHere(earlier));
}

TEST(ProcessIdentityTest, NothingIsKnownOfAnotherHost) {
  ProcessIdentity elsewhere = CurrentProcess();
  ++elsewhere.host;
  EXPECT_FALSE(IsRunningHere(elsewhere));
}

}  // namespace
}  // namespace pinboard::cache_service
