// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// What a random episode draws before it begins: a group, and the options of its sequences.
#pragma once

#include <string>

#include "pinboard/shard.h"
#include "tests/support/seeded_random.h"
#include "tests/system/checked_group.h"

namespace pinboard::testing {

/// MHA, GQA, MQA or MLA with or without experts, small enough that an oracle keeps up; one or two
/// ranks, and a cache for a few sequences.
CheckedGroupOptions DrawGroup(SeededRandom& random);

/// One line.
std::string Describe(const CheckedGroupOptions& options);

/// Any policy that the group's options and its oracle allow, with a prompt of up to 250 tokens.
SequenceOptions DrawSequence(SeededRandom& random, const CheckedGroupOptions& group);

}  // namespace pinboard::testing
