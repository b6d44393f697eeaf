# Sourced by the scripts that print the path of a Python for some tests. No program of its own.
#
#   python_env SCRIPT VARIABLE MODULES TESTS REQUIREMENT...
#
# Prints the path of a Python that can import MODULES ("a, b"): the one that the environment's VARIABLE names, else one of a
# private virtual environment under target/, which is made on first use with the REQUIREMENTs (arguments of pip). Where that
# fails it explains why on standard error and prints nothing: TESTS are then skipped, and everything else is still tested.

python_env() {
    local script=$1 variable=$2 modules=$3 tests=$4
    shift 4
    if [ -n "${!variable:-}" ]; then
        "${!variable}" -c "import $modules" ||
            { echo "$script: $variable=${!variable} cannot import $modules; unset it or install them there" >&2; exit 1; }
        echo "${!variable}"
        return
    fi

    local home=${CARGO_TARGET_DIR:-target}/python-${script%-python}
    local log=$home.log python=$home/bin/python
    skip() {
        echo "$script: SKIPPED $tests: $1" >&2
        exit 0
    }
    if [ "$(cat "$home/requirements" 2>/dev/null)" != "$*" ] || ! "$python" -c "import $modules" 2>/dev/null; then
        command -v python3 >/dev/null || skip "python3 is not installed"
        rm -rf "$home"
        mkdir -p "$(dirname "$home")"
        python3 -m venv "$home" >"$log" 2>&1 ||
            { rm -rf "$home"; skip "python3 cannot make a virtual environment (Debian: apt-get install python3-venv); see $log"; }
        "$python" -m pip install --quiet --disable-pip-version-check --no-input --retries 2 --timeout 30 "$@" >>"$log" 2>&1 ||
            { rm -rf "$home"; skip "pip could not install $*; see $log"; }
        "$python" -c "import $modules" >>"$log" 2>&1 ||
            { rm -rf "$home"; skip "$modules were installed but cannot be imported; see $log"; }
        echo "$*" >"$home/requirements"
    fi

    # A test runs in the directory of its crate.
    (cd "$(dirname "$python")" && echo "$PWD/python")
}
