// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Whether a tenant can tell by the time of a miss that another tenant has the page.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/log.h"
#include "cache_service/remote_page_store.h"
#include "tests/cache_service/child_process.h"
#include "tests/cache_service/scratch_file.h"
#include "tests/cache_service/test_pages.h"
#include "tests/support/seeded_random.h"
#include "transport/fabric/ucx/ucx_fabric.h"

namespace pinboard::cache_service {
namespace {

constexpr std::uint32_t kPages = 4096;
constexpr int kBatch = 64;
constexpr std::uint64_t kOthersSequence = 1, kNobodysSequence = 2;

std::unique_ptr<PageStore> ConnectAs(const std::string& tenant, char digit,
                                     const std::string& address) {
  const Credentials key{tenant, "1", *AccessKey::Parse("hex:" + std::string(64, digit))};
  auto store = ConnectPageStore([] { return transport::MakeUcxFabric(); }, {address},
                                {.group = 1, .name = tenant, .credentials = key});
  if (store.ok()) return *std::move(store);
  std::fprintf(stderr, "tenant_timing_bench: %s\n", std::string(store.status().message()).c_str());
  std::exit(1);
}

/// Microseconds until the last of some pages of the sequence is a miss.
double TimeOfMisses(PageStore& store, std::uint64_t sequence, SeededRandom& random) {
  std::vector<PageRef> pages;
  const std::uint32_t first = random.Int(0, kPages - kBatch);
  for (int i = 0; i < kBatch; ++i) pages.push_back(TestPage(first + i, 1, sequence));
  const absl::Time start = SteadyNow();
  store.Fetch(pages, start + absl::Seconds(5));
  for (int resolved = 0; resolved < kBatch;) {
    store.WaitFetched(start + absl::Seconds(5));
    for (const FetchResult& fetched : store.TakeFetched()) {
      if (!absl::IsNotFound(fetched.pin.status())) std::abort();
      ++resolved;
    }
  }
  return absl::ToDoubleMicroseconds(SteadyNow() - start);
}

void Print(const char* whose, std::vector<double> times) {
  std::sort(times.begin(), times.end());
  const auto at = [&](double share) {
    return times[static_cast<std::size_t>(share * static_cast<double>(times.size() - 1))];
  };
  std::printf("%-8s p10 %.1f  p50 %.1f  p90 %.1f us\n", whose, at(0.1), at(0.5), at(0.9));
}

int Main(int rounds) {
  InitLog("bench", LogLevel::kError);
  setenv("UCX_NET_DEVICES", "lo", /*overwrite=*/0);
  const ScratchFile keys(absl::StrCat("alpha 1 hex:", std::string(64, 'a'),
                                      "\nbeta 1 hex:", std::string(64, 'b'), "\n"));
  ChildProcess service({BuiltProgram("bin/pinboardd"), "--listen", "127.0.0.1:0", "--arena",
                        "256MiB", "--keys", keys.path(), "--metrics", "none", "--log-level",
                        "error", "--exit-with-parent"});
  const std::string line = service.ReadLine();
  const std::string address = line.substr(line.rfind(' ') + 1);
  const auto other = ConnectAs("beta", 'b', address);
  for (std::uint32_t page = 0; page < kPages; ++page) {
    if (!PublishTestPage(*other, TestPage(page, 1, kOthersSequence)).ok()) std::abort();
  }
  const auto asker = ConnectAs("alpha", 'a', address);
  SeededRandom random(1);
  std::vector<double> others, nobodys;
  double sum = 0.0, squares = 0.0;
  for (int round = 0; round < rounds; ++round) {
    const bool others_first = round % 2 == 0;
    const double first =
        TimeOfMisses(*asker, others_first ? kOthersSequence : kNobodysSequence, random);
    const double second =
        TimeOfMisses(*asker, others_first ? kNobodysSequence : kOthersSequence, random);
    others.push_back(others_first ? first : second);
    nobodys.push_back(others_first ? second : first);
    const double more = others.back() - nobodys.back();
    sum += more;
    squares += more * more;
  }
  Print("other's", others);
  Print("nobody's", nobodys);
  const double mean = sum / rounds;
  const double error = 1.96 * std::sqrt((squares / rounds - mean * mean) / rounds);
  std::printf("more for another's, mean of %d pairs: %+.2f +- %.2f us\n", rounds, mean, error);
  return 0;
}

}  // namespace
}  // namespace pinboard::cache_service

int main(int argc, char** argv) {
  return pinboard::cache_service::Main(argc > 1 ? std::max(2, std::atoi(argv[1])) : 400);
}
