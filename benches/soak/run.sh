#!/usr/bin/env bash
# Half an hour of mixed load, and whether anything grows. See README.md here.
#   benches/soak/run.sh [seconds, default 1800] [options of soak.py, see --help]
# Without --freshgate it builds the release binary first.
set -euo pipefail
cd "$(dirname "$0")"

if [[ " $* " != *" --freshgate"* && " $* " != *" --help "* ]]; then
    (cd ../.. && cargo build --release)
fi
exec python3 -B soak.py "$@"
