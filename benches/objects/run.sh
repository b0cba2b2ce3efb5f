#!/usr/bin/env bash
# What an object costs: its memory, and a hit's CPU beside that of a stored response. Needs Python 3 and a release build, which it makes.
#   benches/objects/run.sh [OBJECTS]
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo build --release --quiet
exec python3 benches/objects/objects.py target/release/freshgate "${1:-1000000}"
