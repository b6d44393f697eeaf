#!/usr/bin/env bash
# Runs every fuzz target of every crate, each for so many seconds, with the seeds that are checked in (fuzz/seeds/TARGET) and the
# corpus of earlier runs (fuzz/corpus/TARGET, ignored by git). Prints a table, and fails where a target found something. Needs the
# nightly toolchain and cargo-fuzz.
#
#   scripts/fuzz.sh SECONDS [CRATE...]
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:?usage: scripts/fuzz.sh SECONDS [CRATE...]}
shift
command -v cargo-fuzz >/dev/null ||
    { echo "fuzz: cargo-fuzz is missing; install it with: cargo install --locked cargo-fuzz" >&2; exit 1; }

logs=${CARGO_TARGET_DIR:-target}/fuzz
mkdir -p "$logs"
failed=0
printf '%-20s %-18s %10s %8s  %s\n' crate target cases seconds findings
for manifest in */fuzz/Cargo.toml; do
    directory=${manifest%/Cargo.toml}
    crate=${directory%/fuzz}
    [ $# -eq 0 ] || [[ " $* " == *" $crate "* ]] || continue
    for source in "$directory"/fuzz_targets/*.rs; do
        target=$(basename "$source" .rs)
        log=$logs/$crate-$target.log
        corpus=$directory/corpus/$target
        seeds=$directory/seeds/$target
        mkdir -p "$corpus"
        folders=("$corpus")
        [ -d "$seeds" ] && folders+=("$seeds")
        status=0
        cargo +nightly fuzz run --fuzz-dir "$directory" "$target" "${folders[@]}" -- \
            -max_total_time="$seconds" -rss_limit_mb=4096 -timeout=20 -print_final_stats=1 >"$log" 2>&1 || status=$?
        cases=$(awk '/stat::number_of_executed_units/ { print $2 }' "$log" | tail -1)
        findings=none
        if [ $status -ne 0 ]; then
            failed=1
            findings=$(grep -m1 -E '^(thread|SUMMARY|error|==)' "$log" || echo "see $log")
        fi
        printf '%-20s %-18s %10s %8s  %s\n' "$crate" "$target" "${cases:-0}" "$seconds" "$findings"
    done
done
exit $failed
