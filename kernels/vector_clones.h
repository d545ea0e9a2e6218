// SPDX-FileCopyrightText: 2026 The Pinboard Authors
// SPDX-License-Identifier: Apache-2.0
// Marks hot functions that are compiled once per vector width and picked when the program starts.
#pragma once

/// Every clone gives the same bits: products and sums are never contracted (cmake/PinboardOptions)
/// and no loop is reassociated, so wider registers only compute more independent outputs at a time.
/// Sanitizers start too late for the dynamic choice; there, and elsewhere than x86-64 with GCC, the
/// function is compiled once.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && \
    !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define PB_VECTOR_CLONES \
  __attribute__((target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")))
#else
#define PB_VECTOR_CLONES
#endif
