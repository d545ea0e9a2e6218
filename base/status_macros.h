// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Early return on error, for functions that return absl::Status or absl::StatusOr.
#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define PB_RETURN_IF_ERROR(expr)                                            \
  do {                                                                      \
    if (absl::Status pb_status = (expr); !pb_status.ok()) return pb_status; \
  } while (false)

// NOLINTBEGIN(bugprone-macro-parentheses): `lhs` may declare a variable.
#define PB_CONCAT_INNER(a, b) a##b
#define PB_CONCAT(a, b) PB_CONCAT_INNER(a, b)

/// PB_ASSIGN_OR_RETURN(auto value, MakeValue());
#define PB_ASSIGN_OR_RETURN(lhs, expr) \
  PB_ASSIGN_OR_RETURN_IMPL(PB_CONCAT(pb_result_, __LINE__), lhs, expr)
#define PB_ASSIGN_OR_RETURN_IMPL(result, lhs, expr) \
  auto result = (expr);                             \
  if (!result.ok()) return result.status();         \
  lhs = *std::move(result)
// NOLINTEND(bugprone-macro-parentheses)
