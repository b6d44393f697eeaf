#!/usr/bin/env bash
# Runs every published edge topology for a while, with a simulated camera and extensions, and prints a table of what each
# gave. Fails when one did not give what its nodes promise.
#
# usage: scripts/test-topologies.sh [SLICE/SLICES]      such as 1/4; default: all
# SECONDS_EACH: how long each runs, default 40. JOBS: how many side by side, default 2.
# LVA_SHARED_DATA: folder with `topologies/`, default ../shared/data.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."
slice=${1:-1/1}
each=${SECONDS_EACH:-40}
data=${LVA_SHARED_DATA:-../shared/data}
if [ ! -d "$data/topologies" ]; then
    echo "test-topologies: SKIPPED, there is no $data/topologies (set LVA_SHARED_DATA)"
    exit 0
fi
command -v python3 >/dev/null || { echo "test-topologies: python3 makes the table; it is missing" >&2; exit 1; }
cargo build --release --quiet --example run-topology
program=${CARGO_TARGET_DIR:-target}/release/examples/run-topology
work=$(mktemp --directory)
trap 'rm -rf "$work"' EXIT

# Topologies of the cloud service are refused by name, and tested so elsewhere.
mapfile -t all < <(cd "$data/topologies" && find . -name '*.json' ! -name 'cloud-*' | sed 's|^\./||' | sort)
files=()
for place in "${!all[@]}"; do
    if [ $((place % ${slice#*/})) -eq $((${slice%/*} - 1)) ]; then
        files+=("${all[place]}")
    fi
done
echo "${#files[@]} of ${#all[@]} topologies, $each s each" >&2

run_one() {
    local file=$1 name=${1//\//-}
    if ! "$program" "$data/topologies/$file" --simulate --seconds "$each" --recordings "$work/$name" \
        > "$work/$name.out" 2> "$work/$name.err"; then
        # What it said is worth more than what it printed.
        tail -n 3 "$work/$name.err" >&2
    fi
    tail -n 1 "$work/$name.out" > "$work/$name.summary"
    rm -rf "${work:?}/$name" "$work/$name.out"
    echo "$file done" >&2
}
export -f run_one
export program data each work
printf '%s\n' "${files[@]}" | xargs --max-procs "${JOBS:-2}" -I{} bash -c 'run_one "$1"' _ {}

python3 - "$work" "${files[@]}" <<'PY'
import json, sys
work, files = sys.argv[1], sys.argv[2:]
print("| topology | ok | received | sent | answered | dropped | events | recordings |")
print("|---|---|---|---|---|---|---|---|")
bad = 0
for file in files:
    try:
        line = json.loads(open(f"{work}/{file.replace('/', '-')}.summary").read())
        frames, told = line["frames"], line["recordings"]
    except (ValueError, KeyError, OSError):
        bad += 1
        print(f"| {file} | **no** | | | | | it did not run | |")
        continue
    bad += not line["ok"]
    ok = "yes" if line["ok"] else "**no**: " + "; ".join(line.get("missing", []))
    dropped = ", ".join(f"{k} {v}" for k, v in line["dropped"].items()) or "0"
    events = ", ".join(f"{k} {v}" for k, v in line["events"].items())
    seconds = ", ".join(f"{r['sink']} {r['seconds']:.1f} s" for r in told)
    print(f"| {file} | {ok} | {frames['received']} | {frames['sent']} | {frames['answered']} | {dropped} | {events} | {seconds} |")
print(f"{len(files) - bad} passed, {bad} failed")
sys.exit(bad > 0)
PY
