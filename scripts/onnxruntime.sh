#!/usr/bin/env bash
# Puts ONNX Runtime's library into target/onnxruntime, where every program of this tree finds it (--backend auto). It is taken
# from the Python package of that name on PyPI, of one version whose hashes are below; Python itself is not needed afterwards.
set -euo pipefail
cd "$(dirname "$0")/.."

version=1.32.0
fail() {
    echo "onnxruntime.sh: $1" >&2
    exit 1
}
case $(uname -s)-$(uname -m) in
    Linux-x86_64) hash=99e1074c4b2197accd5073052a465361be17b89c093b8ffb6e6bd8f986c52df8 ;;
    Linux-aarch64) hash=e36c187006e7a7c8b8d6d57f1a209dd63f52430dca6c282b177718ad6b841054 ;;
    *) fail "no package is pinned for $(uname -s) on $(uname -m): take the library from ONNX Runtime's releases, and name it in ORT_DYLIB_PATH" ;;
esac

home=${CARGO_TARGET_DIR:-target}/onnxruntime
library=$home/libonnxruntime.so.$version
if [ -e "$library" ]; then
    echo "$library is there"
    exit 0
fi
command -v python3 >/dev/null || fail "python3 is not installed, whose pip downloads the package (Debian: apt-get install python3-venv)"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python=python3
if ! python3 -m pip --version >/dev/null 2>&1; then
    python3 -m venv "$work/python" || fail "python3 has neither pip nor venv (Debian: apt-get install python3-venv)"
    python=$work/python/bin/python
fi

# The package for one version of Python, whatever is installed here: only the library is taken.
printf 'onnxruntime==%s --hash=sha256:%s\n' "$version" "$hash" >"$work/requirements.txt"
machine=$(uname -m)
"$python" -m pip download --quiet --disable-pip-version-check --no-input --no-deps --only-binary=:all: --require-hashes \
    --python-version 3.12 --implementation cp --abi cp312 --platform "manylinux_2_28_$machine" \
    --dest "$work" --requirement "$work/requirements.txt" ||
    fail "pip could not download onnxruntime $version, or its hash is another one; nothing was installed"

python3 - "$work" "$home" "$version" <<'PYTHON'
import pathlib, sys, zipfile

work, home, version = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]), sys.argv[3]
home.mkdir(parents=True, exist_ok=True)
(wheel,) = work.glob("*.whl")
with zipfile.ZipFile(wheel) as package:
    # The library last and under its name at once, so that a broken run leaves none that looks whole.
    for name in ["LICENSE", "ThirdPartyNotices.txt", f"capi/libonnxruntime.so.{version}"]:
        part = home / "part"
        part.write_bytes(package.read(f"onnxruntime/{name}"))
        part.rename(home / pathlib.Path(name).name)
PYTHON
echo "$library: ONNX Runtime $version (MIT licence, beside it); programs of this tree use it from now on"
