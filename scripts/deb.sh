#!/usr/bin/env bash
# Builds the Debian package of lva-edge and prints its path. Needs cargo-deb.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v cargo-deb >/dev/null ||
    { echo "deb: cargo-deb is missing; install it with: cargo install --locked cargo-deb" >&2; exit 1; }
cargo build --release --bin lva-edge
rm -rf target/deb
program=${CARGO_TARGET_DIR:-target}/release/lva-edge
"$program" generate target/deb
strip --strip-all -o target/deb/lva-edge "$program"
cargo deb --quiet --package lva-edge-module --no-build
