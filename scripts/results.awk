# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
# Reads fields of `object`, one flat result that `pinboard eval --json` wrote.
function number(key) {
  if (!match(object, "\"" key "\"[ ]*:[ ]*[-+.0-9eE]+")) return 0
  value = substr(object, RSTART, RLENGTH); sub(/^.*:[ ]*/, "", value)
  return value + 0
}
function text(key) {
  if (!match(object, "\"" key "\"[ ]*:[ ]*\"[^\"]*\"")) return ""
  value = substr(object, RSTART, RLENGTH); sub(/^"[^"]*"[ ]*:[ ]*"/, "", value); sub(/"$/, "", value)
  return value
}
