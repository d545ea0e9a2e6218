// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// A member of a cluster that says what the test has it say.
#pragma once

#include <memory>
#include <string>

#include "tests/cache_service/loopback_members.h"
#include "tests/cache_service/raw_client.h"

namespace pinboard::cache_service {

inline std::unique_ptr<RawClient> Greeted(transport::LoopbackHub& hub, const std::string& to,
                                          const std::string& name) {
  auto client = std::make_unique<RawClient>(hub.MakeFabric(), to);
  Hello hello;
  hello.features = kMemberFeatures;
  hello.process = CurrentProcess();
  hello.name = "member " + name;
  client->Ask<Welcome>(hello);
  return client;
}
inline std::unique_ptr<RawClient> Introduced(transport::LoopbackHub& hub, const std::string& to,
                                             const std::string& name) {
  auto client = Greeted(hub, to, name);
  client->Send(Introduce{name, 1});
  return client;
}
inline std::unique_ptr<RawClient> Introduced(LoopbackMembers& members, const std::string& name) {
  return Introduced(members.hub(), members[0].self().address, name);
}

}  // namespace pinboard::cache_service
