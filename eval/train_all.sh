#!/usr/bin/env bash
# SPDX-FileCopyrightText: 2026 The Pinboard Authors
# SPDX-License-Identifier: Apache-2.0
#
# Trains both models at once on one GPU, checks them against transformers and writes golden values.
# usage: eval/train_all.sh MINUTES [options of eval.train, for both]
# Needs .train-data (python3 -m eval.data) and the suites; logs go to .train/NAME.log.
set -uo pipefail
cd "$(dirname "$0")/.."
minutes=${1:?how many minutes of training}
shift
export TOKENIZERS_PARALLELISM=false PYTHONUNBUFFERED=1 HF_HUB_OFFLINE=1
export TORCHINDUCTOR_CACHE_DIR=$PWD/.train/compiled
mkdir -p .train
names=(tiny-llama tiny-deepseek)
pids=()
for name in "${names[@]}"; do
  python3 -m eval.train --model "$name" --minutes "$minutes" "$@" >>".train/$name.log" 2>&1 &
  pids+=($!)
done

# What needs no trained weights is done meanwhile, on the CPU.
(
  export CUDA_VISIBLE_DEVICES= OMP_NUM_THREADS=2
  status=0
  python3 -m eval.golden random || status=1
  sleep 45
  for name in "${names[@]}"; do
    python3 -m eval.verify --model "$name" --folder ".train/$name/first" --agree-only || status=1
  done
  exit "$status"
) >.train/early.log 2>&1 &
early=$!

# The first that fails ends the other one: half a result is not worth the rest of the time.
status=0
for _ in "${names[@]}"; do
  wait -n "${pids[@]}" || { status=1; kill "${pids[@]}" 2>/dev/null; }
done
early_status=0
wait "$early" || early_status=1
if ((status == 0)); then
  checks=()
  for name in "${names[@]}"; do
    OMP_NUM_THREADS=4 python3 -m eval.verify --model "$name" >".train/$name.verify.log" 2>&1 &
    checks+=($!)
  done
  OMP_NUM_THREADS=4 python3 -m eval.golden tokenizer trained >.train/golden.log 2>&1 &
  checks+=($!)
  for check in "${checks[@]}"; do
    wait "$check" || status=1
  done
fi
tail -n 12 .train/early.log .train/golden.log .train/*.verify.log .train/tiny-llama.log \
  .train/tiny-deepseek.log
exit "$((status || early_status))"
