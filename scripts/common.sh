# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# Shared by the scripts beside it; sourced after `set -euo pipefail`.
export LC_ALL=C.UTF-8
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
me=scripts/$(basename "$0")
readonly root me

say() { printf '%s: %s\n' "$me" "$*"; }
fail() {
  printf '%s: %s\n' "$me" "$*" >&2
  exit 1
}

# Prints the path of nvcc and succeeds where a CUDA toolkit is installed.
find_nvcc() {
  command -v nvcc || { [[ -x /usr/local/cuda/bin/nvcc ]] && echo /usr/local/cuda/bin/nvcc; }
}

# Succeeds where a GPU can be used.
have_gpu() { command -v nvidia-smi >/dev/null && nvidia-smi -L >/dev/null 2>&1; }

# Succeeds where clang can build a fuzzer in the C++ that we write.
have_libfuzzer() {
  local program='#include <compare>
#include <string>
extern "C" int LLVMFuzzerTestOneInput(const unsigned char*, unsigned long) { return std::string().size(); }'
  command -v clang++ >/dev/null &&
    clang++ -std=c++20 -fsanitize=fuzzer,address,undefined -x c++ -o /dev/null - <<<"$program" 2>/dev/null
}

# choose_release_preset: sets preset and configure_options, with CUDA where a toolkit is installed,
# for the architecture of the GPU here or, without one, of the H100 and H200 (90).
choose_release_preset() {
  preset=cpu-release
  configure_options=()
  local nvcc architecture=90
  if nvcc=$(find_nvcc); then
    have_gpu && architecture=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
    preset=cuda-release
    configure_options+=("-DCMAKE_CUDA_COMPILER=$nvcc" "-DCMAKE_CUDA_ARCHITECTURES=$architecture")
    say "CUDA toolkit found: CUDA code is compiled for sm_$architecture"
  else
    say "no CUDA toolkit: the CPU code alone is built"
  fi
}

# configure PRESET [CMAKE-ARGUMENT...]
configure() {
  say "configuring build/$1"
  (cd "$root" && cmake --preset "$@" >"$(log_of configure)" 2>&1) || show_log configure
}

# build PRESET [--target NAME...]: quiet where it succeeds, unless a terminal watches.
build() {
  say "building build/$1 with $(nproc) jobs"
  local command=(cmake --build --preset "$@" --parallel "$(nproc)")
  if [[ -t 1 ]]; then
    (cd "$root" && "${command[@]}")
  else
    (cd "$root" && "${command[@]}" >"$(log_of build)" 2>&1) || show_log build
  fi
}

log_of() {
  mkdir -p "$root/build"
  echo "$root/build/$1.log"
}
show_log() {
  tail -n 100 "$(log_of "$1")" >&2
  fail "the $1 step failed: see the lines above, all of them in $(log_of "$1")"
}

# Ranks and the service meet in shared memory, which containers often leave small or out. UCX can
# keep its files elsewhere, at the price of the kernel writing them back to disk.
provide_shared_memory() {
  local need_mib=256 free_kib=0
  [[ -z ${UCX_POSIX_DIR-} ]] || return 0
  [[ -d /dev/shm && -w /dev/shm ]] && free_kib=$(df --output=avail -k /dev/shm | tail -n 1)
  ((free_kib < need_mib * 1024)) || return 0
  export UCX_POSIX_DIR=$root/build/shared-memory
  mkdir -p "$UCX_POSIX_DIR"
  say "/dev/shm has $((free_kib / 1024)) of $need_mib MiB free, so UCX_POSIX_DIR=$UCX_POSIX_DIR is used; faster:" \
    "mount -t tmpfs -o size=256m tmpfs /dev/shm (a container: --shm-size=256m)"
}
