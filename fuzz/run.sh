#!/usr/bin/env bash
# Fuzzes each target for so many seconds (60), or only those that are named: fuzz/run.sh [SECONDS [TARGET...]]
# Stops at the first failure; the input that shows it is then in fuzz/artifacts. Needs Rust, a stable one, and a C++ compiler,
# which it installs on Debian where it may.
#
# What is found on the way stays in fuzz/target/found. `fuzz/run.sh keep [TARGET...]` takes of it and of fuzz/corpus what reaches the
# most code, and puts that into fuzz/corpus, beside what was written by hand.
#
# `cargo fuzz run --sanitizer none TARGET` works as well, and puts all it finds into fuzz/corpus. Here its flags are given to cargo
# itself: they work with a stable Rust, and there is no `unsafe` for a sanitizer to watch.
set -euo pipefail
cd "$(dirname "$0")"

all=(cache_control dates vary ranges consider requests targets_and_keys events)
seconds=${1:-60}
targets=("${@:2}")
((${#targets[@]})) || targets=("${all[@]}")

if ! command -v c++ >/dev/null; then
    as_root=()
    ((EUID == 0)) || as_root=(sudo -n)
    "${as_root[@]}" apt-get update -q
    "${as_root[@]}" apt-get install -qy --no-install-recommends g++
fi

host=$(rustc -vV | sed -n 's/^host: //p')
flags=(
    --cfg fuzzing
    -Ccodegen-units=1
    -Cpasses=sancov-module
    -Cllvm-args=-sanitizer-coverage-level=4
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
    -Cllvm-args=-sanitizer-coverage-pc-table
    -Cllvm-args=-sanitizer-coverage-trace-compares
)
# The versions that the gateway is built and tested with.
cp ../Cargo.lock Cargo.lock
# With --target, so that the flags aren't for build scripts.
RUSTFLAGS="${flags[*]}" cargo build --release --bins --target "$host"

for target in "${targets[@]}"; do
    fuzz=target/$host/release/$target
    mkdir -p "target/found/$target" "corpus/$target" artifacts
    if [[ $seconds == keep ]]; then
        rm -rf "target/kept/$target"
        mkdir -p "target/kept/$target"
        # What was written by hand stays as it is.
        cp "corpus/$target"/by-hand-* "target/kept/$target"
        # The merge writes the file that reaches most first, then that which adds most to it, and so on: the first ones
        # have nearly all. How often code was run doesn't count here.
        "$fuzz" -set_cover_merge=1 -use_counters=0 -max_len=1024 "target/kept/$target" "corpus/$target" "target/found/$target"
        (cd "target/kept/$target" && find . -name '*-*' -prune -o -type f -printf '%T@ %f\n' | sort -n | tail -n +71 | cut -d' ' -f2 | xargs -r rm)
        rm -rf "corpus/$target"
        mv "target/kept/$target" "corpus/$target"
        continue
    fi
    printf '\n== %s: %s seconds\n' "$target" "$seconds"
    "$fuzz" -max_total_time="$seconds" -timeout=10 -max_len=2048 -print_final_stats=1 -verbosity=1 \
        -artifact_prefix="artifacts/$target-" "target/found/$target" "corpus/$target"
done
