#!/usr/bin/env bash
# Clippy with warnings denied: the whole workspace, and each crate that has features also with none and with all of them.
set -euo pipefail
cd "$(dirname "$0")/.."

lint() {
    printf -- '--- cargo clippy %s\n' "$*"
    cargo clippy --quiet "$@" -- --deny warnings
}

lint --workspace --all-targets

# A crate has features when its manifest has the table; nothing to keep up to date by hand.
grep --files-with-matches '^\[features\]' ./*/Cargo.toml ./*/*/Cargo.toml 2>/dev/null | while read -r manifest; do
    package=$(sed -n 's/^name *= *"\(.*\)".*/\1/p' "$manifest" | head -n 1)
    lint --package "$package" --all-targets --no-default-features
    lint --package "$package" --all-targets --all-features
done
