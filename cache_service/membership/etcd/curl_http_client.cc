// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
#include <curl/curl.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <utility>

#include "absl/strings/str_cat.h"
#include "cache_service/membership/etcd/http_client.h"

namespace pinboard::cache_service::etcd {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::size_t kMaxAnswerBytes = std::size_t{16} << 20;
constexpr long kConnectTimeoutMs = 3000;
constexpr long kKeepAliveSeconds = 10;  // finds that the other end of a silent stream is gone

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct FreeEasy {
  void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
};

/// One request under way and what has come of its answer.
class Transfer {
 public:
  Transfer(CURLM* multi, const TlsFiles& tls, const HttpRequest& request)
      : multi_(multi), body_(request.body), easy_(curl_easy_init()) {
    AddHeader("Content-Type: application/json");
    if (!request.authorization.empty()) AddHeader("Authorization: " + request.authorization);
    Set(CURLOPT_URL, request.url.c_str());
    Set(CURLOPT_HTTPHEADER, headers_.get());
    Set(CURLOPT_POSTFIELDSIZE, static_cast<long>(body_.size()));
    Set(CURLOPT_POSTFIELDS, body_.c_str());
    Set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
    Set(CURLOPT_PROTOCOLS_STR, "http,https");
    Set(CURLOPT_NOPROXY, "*");
    Set(CURLOPT_NOSIGNAL, 1L);
    Set(CURLOPT_QUICK_EXIT, 1L);  // a name that is still being resolved is not waited for
    Set(CURLOPT_CONNECTTIMEOUT_MS, kConnectTimeoutMs);
    Set(CURLOPT_TCP_KEEPALIVE, 1L);
    Set(CURLOPT_TCP_KEEPIDLE, kKeepAliveSeconds);
    Set(CURLOPT_TCP_KEEPINTVL, kKeepAliveSeconds);
    if (!tls.authorities.empty()) Set(CURLOPT_CAINFO, tls.authorities.c_str());
    if (!tls.certificate.empty()) Set(CURLOPT_SSLCERT, tls.certificate.c_str());
    if (!tls.key.empty()) Set(CURLOPT_SSLKEY, tls.key.c_str());
    Set(CURLOPT_ERRORBUFFER, error_);
    Set(CURLOPT_WRITEDATA, this);
    curl_easy_setopt(easy_.get(), CURLOPT_WRITEFUNCTION, &Transfer::Take);
    Set(CURLOPT_PRIVATE, this);
    curl_multi_add_handle(multi_, easy_.get());
  }
  ~Transfer() { curl_multi_remove_handle(multi_, easy_.get()); }
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  std::string& received() { return received_; }
  bool ended() const { return ended_; }
  void End(CURLcode code) {
    ended_ = true;
    code_ = code;
  }
  long http_status() const {
    long status = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    return status;
  }
  absl::Status Outcome() const {
    if (code_ == CURLE_OK) return absl::OkStatus();
    if (code_ == CURLE_WRITE_ERROR) return absl::UnavailableError("the answer is too long");
    return absl::UnavailableError(error_[0] != '\0' ? error_ : curl_easy_strerror(code_));
  }

 private:
  template <typename Value>
  void Set(CURLoption option, Value value) {
    curl_easy_setopt(easy_.get(), option, value);
  }
  void AddHeader(const std::string& header) {
    headers_.reset(curl_slist_append(headers_.release(), header.c_str()));
  }
  static std::size_t Take(char* data, std::size_t size, std::size_t count, void* self) {
    std::string& received = static_cast<Transfer*>(self)->received_;
    if (received.size() + size * count > kMaxAnswerBytes) return 0;
    received.append(data, size * count);
    return size * count;
  }

  CURLM* const multi_;
  const std::string body_;
  std::unique_ptr<curl_slist, FreeList> headers_;
  const std::unique_ptr<CURL, FreeEasy> easy_;
  std::string received_;
  char error_[CURL_ERROR_SIZE] = {};
  bool ended_ = false;
  CURLcode code_ = CURLE_OK;
};

class CurlHttpClient final : public HttpClient {
 public:
  CurlHttpClient(CURLM* multi, TlsFiles tls) : multi_(multi), tls_(std::move(tls)) {}
  ~CurlHttpClient() override {
    stream_.reset();
    curl_multi_cleanup(multi_);
  }

  absl::StatusOr<HttpAnswer> Post(const HttpRequest& request, absl::Duration timeout) override {
    Transfer transfer(multi_, tls_, request);
    const auto deadline = SteadyClock::now() + absl::ToChronoNanoseconds(timeout);
    while (!transfer.ended()) {
      if (cancelled_) return absl::CancelledError("cancelled");
      if (SteadyClock::now() >= deadline) {
        return absl::DeadlineExceededError(
            absl::StrCat("no answer within ", absl::FormatDuration(timeout)));
      }
      Turn(deadline);
    }
    if (const absl::Status outcome = transfer.Outcome(); !outcome.ok()) return outcome;
    return HttpAnswer{.status = transfer.http_status(), .body = std::move(transfer.received())};
  }

  void OpenStream(const HttpRequest& request) override {
    stream_ = std::make_unique<Transfer>(multi_, tls_, request);
  }
  void CloseStream() override { stream_.reset(); }

  absl::StatusOr<std::optional<std::string>> NextLine(absl::Duration timeout) override {
    const auto deadline = SteadyClock::now() + absl::ToChronoNanoseconds(timeout);
    while (true) {
      if (std::optional<std::string> line = TakeLine()) return line;
      if (cancelled_) return absl::CancelledError("cancelled");
      if (stream_->ended()) {
        const absl::Status outcome = stream_->Outcome();
        return outcome.ok() ? absl::UnavailableError("the stream has ended") : outcome;
      }
      if (woken_.exchange(false) || SteadyClock::now() >= deadline) return std::nullopt;
      Turn(deadline);
    }
  }

  void Sleep(absl::Duration time) override {
    const auto deadline = SteadyClock::now() + absl::ToChronoNanoseconds(time);
    while (!cancelled_ && !woken_.exchange(false) && SteadyClock::now() < deadline) Turn(deadline);
  }

  void Wake() override {
    woken_ = true;
    curl_multi_wakeup(multi_);
  }
  void Cancel() override {
    cancelled_ = true;
    curl_multi_wakeup(multi_);
  }

 private:
  /// A whole line, or what is left of a stream that has ended.
  std::optional<std::string> TakeLine() {
    std::string& received = stream_->received();
    const std::size_t end = received.find('\n');
    if (end == std::string::npos && (!stream_->ended() || received.empty())) return std::nullopt;
    std::string line = received.substr(0, end);
    received.erase(0, end == std::string::npos ? end : end + 1);
    return line;
  }

  /// Moves what can be moved; else waits for something to move, a wake or the deadline.
  void Turn(SteadyClock::time_point deadline) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - SteadyClock::now());
    const auto wait = std::clamp<std::int64_t>(left.count(), 0, 60'000);
    int running = 0;
    curl_multi_perform(multi_, &running);
    if (CollectEnded() == 0) {
      curl_multi_poll(multi_, nullptr, 0, static_cast<int>(wait), nullptr);
      curl_multi_perform(multi_, &running);
      CollectEnded();
    }
  }

  int CollectEnded() {
    int collected = 0;
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      char* transfer = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
      reinterpret_cast<Transfer*>(transfer)->End(message->data.result);
      ++collected;
    }
    return collected;
  }

  CURLM* const multi_;
  const TlsFiles tls_;
  std::unique_ptr<Transfer> stream_;
  std::atomic<bool> woken_ = false;
  std::atomic<bool> cancelled_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<HttpClient>> MakeHttpClient(const TlsFiles& tls) {
  static const CURLcode started = curl_global_init(CURL_GLOBAL_DEFAULT);
  CURLM* multi = started == CURLE_OK ? curl_multi_init() : nullptr;
  if (multi == nullptr) return absl::InternalError("libcurl cannot start");
  return std::make_unique<CurlHttpClient>(multi, tls);
}

}  // namespace pinboard::cache_service::etcd
