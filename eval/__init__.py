# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
"""Trains the two small models of the repository and builds the suites that measure recall."""
