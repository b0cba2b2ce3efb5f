#!/usr/bin/env bash
# Everything that must hold, with all set-up: formatting, lints, documentation, tests, licences and advisories.
# Stops at the first stage that fails, with its exit code not zero. Needs Rust; the rest it sees to, on Debian.
set -euo pipefail
cd "$(dirname "$0")"

# Debian packages that building and testing need, and a command that each one brings.
packages=(gcc libc6-dev curl chromium chromium-driver postgresql redis-server redis-tools)
commands=(cc /usr/include/stdlib.h curl chromium chromedriver pg_createcluster redis-server redis-cli)

passed=() skipped=() stage=set-up
trap 'code=$?; ((code == 0)) || printf "\nFAILED: %s (passed before: %s)\n" "$stage" "${passed[*]:-none}" >&2' EXIT

run() {
    stage=$1
    shift
    printf '\n== %s: %s\n' "$stage" "$*"
    "$@"
    passed+=("$stage")
}

skip() {
    printf '\n== %s: skipped, %s\n' "$1" "$2"
    skipped+=("$1 ($2)")
}

there() { if [[ $1 == /* ]]; then [[ -e $1 ]]; else command -v "$1" >/dev/null; fi; }

# A Python that can make an environment. One that somebody has put before Debian's may not be able to, or be too old.
python() {
    local python
    for python in python3 /usr/bin/python3; do
        if "$python" -c 'import ensurepip, sqlite3, ssl, sys, venv; assert sys.version_info >= (3, 11)' 2>/dev/null; then
            echo "$python"
            return
        fi
    done
    return 1
}

# The libraries of tests/clients and tests/panel, in an environment of their own. It is made anew when their versions change.
libraries() {
    local place=target/clients versions=tests/clients/requirements.txt script=tests/panel/requirements.txt
    if cat "$versions" "$script" | cmp -s - "$place/installed.txt" && "$place/bin/python" -c 'import httpbin' 2>/dev/null; then
        return
    fi
    rm -rf "$place"
    "$(python)" -m venv "$place"
    "$place/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "$versions"
    "$place/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --requirement "$script"
    cat "$versions" "$script" >"$place/installed.txt"
}

set_up() {
    local missing=() as_root=() i
    for i in "${!packages[@]}"; do
        there "${commands[$i]}" || missing+=("${packages[$i]}")
    done
    python >/dev/null || missing+=(python3-venv)
    if ((${#missing[@]})); then
        ((EUID == 0)) || as_root=(sudo -n)
        if ! there apt-get || { ((EUID != 0)) && ! sudo -n true 2>/dev/null; }; then
            echo "missing, and can't be installed from here: ${missing[*]}" >&2
            return 1
        fi
        "${as_root[@]}" apt-get update -q
        # The tests start servers of their own; those that the packages would set up and start aren't wanted.
        if [[ " ${missing[*]} " == *" postgresql "* && ! -e /etc/postgresql-common/createcluster.conf ]]; then
            "${as_root[@]}" mkdir -p /etc/postgresql-common
            echo 'create_main_cluster = false' | "${as_root[@]}" tee /etc/postgresql-common/createcluster.conf >/dev/null
        fi
        "${as_root[@]}" apt-get install -qy --no-install-recommends "${missing[@]}"
    fi
    if ! there cargo; then
        echo "Rust is missing: https://rustup.rs" >&2
        return 1
    fi
    if ! python >/dev/null; then
        echo "Python 3.11 or newer, with venv, is missing" >&2
        return 1
    fi
    libraries
    if ! cargo fmt --version >/dev/null 2>&1 || ! cargo clippy --version >/dev/null 2>&1; then
        rustup component add rustfmt clippy
    fi
}

set_up
run fmt cargo fmt --check
run clippy cargo clippy --locked --all-targets -- -D warnings
run doc env RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --quiet
if cargo deny --version >/dev/null 2>&1; then
    run deny cargo deny --locked check bans licenses sources
    # The advisories are fetched, and not every machine may.
    if cargo deny fetch db >/dev/null 2>&1; then
        run advisories cargo deny --locked check advisories
    else
        skip advisories "the advisory database can't be fetched from here"
    fi
else
    skip deny "cargo-deny isn't installed: cargo install --locked cargo-deny"
fi
# Last, so that its own summary stays in sight. Documentation's examples are among them, and tests/clients, tests/panel and tests/sources, which are
# skipped without those words.
run test env FRESHGATE_CLIENTS=required FRESHGATE_SERVERS=required cargo test --locked --no-fail-fast

printf '\nPASSED: %s%s\n' "${passed[*]}" "${skipped[*]:+; skipped: ${skipped[*]}}"
