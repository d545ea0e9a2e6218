// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// HTTP as etcd's gateway needs it: requests that are posted, and one answer that does not end.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace pinboard::cache_service::etcd {

/// Files in PEM form, for https; empty: the system's certificate authorities, no certificate of
/// ours. A server's certificate is always checked, its name included.
struct TlsFiles {
  std::string authorities;
  std::string certificate;
  std::string key;
};

struct HttpRequest {
  std::string url;
  std::string authorization;  // a header's value; empty: none
  std::string body;           // JSON
};

struct HttpAnswer {
  long status = 0;
  std::string body;
};

/// Thread-compatible but Wake and Cancel, which are thread-safe. Each call ends by its timeout.
/// Errors: DeadlineExceeded; Unavailable, where the server is not reached or not trusted or says
/// too much; Cancelled after Cancel.
class HttpClient {
 public:
  virtual ~HttpClient() = default;

  /// Waits for the whole answer. Lines of the stream are kept meanwhile.
  virtual absl::StatusOr<HttpAnswer> Post(const HttpRequest& request, absl::Duration timeout) = 0;

  /// Sends a request whose answer is read line by line; closes an earlier one.
  virtual void OpenStream(const HttpRequest& request) = 0;
  virtual void CloseStream() = 0;
  /// The next line without its end; nothing after a Wake or the timeout. Unavailable: the stream
  /// has ended. Requires an open stream.
  virtual absl::StatusOr<std::optional<std::string>> NextLine(absl::Duration timeout) = 0;

  /// Waits, not longer than told; a Wake ends it.
  virtual void Sleep(absl::Duration time) = 0;
  /// Ends one NextLine or Sleep, or the next.
  virtual void Wake() = 0;
  /// Ends what is under way and all that comes.
  virtual void Cancel() = 0;
};

/// Over libcurl. Internal: libcurl cannot start.
absl::StatusOr<std::unique_ptr<HttpClient>> MakeHttpClient(const TlsFiles& tls);

}  // namespace pinboard::cache_service::etcd
