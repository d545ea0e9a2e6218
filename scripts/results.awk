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
# A share as it was read: two that are not the same never become so.
function raw(share) { shares[share = sprintf("%.17g", share)] = 1; return share }
# A share that raw() has seen as a percentage, with the fewest digits that tell all of those apart.
function percent(share,  width, other, used) {
  for (width = 0; width < 17 && !digits_found; ++width) {
    split("", used); digits_found = 1; digits = width
    for (other in shares) if (used[sprintf("%." width "f", 100 * other)]++) digits_found = 0
  }
  return sprintf("%." digits "f", 100 * share)
}
