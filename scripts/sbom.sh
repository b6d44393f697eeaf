#!/usr/bin/env bash
# Writes the bill of materials of lva-edge, target/sbom/lva-edge.cdx.json (CycloneDX), from Cargo.lock. Needs cargo-cyclonedx.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v cargo-cyclonedx >/dev/null ||
    { echo "sbom: cargo-cyclonedx is missing; install it with: cargo install --locked cargo-cyclonedx" >&2; exit 1; }

out=${CARGO_TARGET_DIR:-target}/sbom
name=lva-edge.cdx
mkdir -p "$out"
# It writes one file into the directory of every package of the workspace.
trap 'rm -f ./*/"$name".json ./*/*/"$name".json' EXIT
cargo cyclonedx --quiet --manifest-path edge-module/Cargo.toml --format json --override-filename "$name"
mv "edge-module/$name.json" "$out/$name.json"
echo "$out/$name.json"
