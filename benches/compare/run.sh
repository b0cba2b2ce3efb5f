#!/usr/bin/env bash
# Freshgate beside nginx, HAProxy and Varnish on this machine. See README.md here.
#   benches/compare/run.sh [--install] [options of compare.py, see --help]
set -euo pipefail
cd "$(dirname "$0")"

packages=(nginx haproxy varnish wrk python3 util-linux gcc)   # Varnish compiles its rules with a C compiler
commands=(nginx haproxy varnishd wrk python3 taskset gcc)
export PATH="$PATH:/usr/sbin:/sbin"

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

exec python3 -B compare.py "$@"
