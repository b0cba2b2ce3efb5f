#!/usr/bin/env bash
# What clients that mean harm can do to Freshgate on this machine. See README.md here.
#   benches/abuse/run.sh [--install] [options of abuse.py, see --help]
set -euo pipefail
cd "$(dirname "$0")"

packages=(slowhttptest python3)
commands=(slowhttptest python3)

missing=()
for i in "${!commands[@]}"; do
    command -v "${commands[$i]}" >/dev/null || missing+=("${packages[$i]}")
done

if [[ "${1:-}" == --install ]]; then
    shift
    if ((${#missing[@]})); then
        as_root=(); ((EUID == 0)) || as_root=(sudo)
        "${as_root[@]}" apt-get install -y --no-install-recommends "${missing[@]}"
    fi
elif ((${#missing[@]})); then
    echo "missing Debian packages; install them (or give --install):" >&2
    echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
    exit 2
fi

exec python3 -B abuse.py "$@"
