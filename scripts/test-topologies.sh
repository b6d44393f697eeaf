#!/usr/bin/env bash
# Runs every published edge topology for a while, with a simulated camera and extensions, and prints a table of what each
# gave. Fails when one did not give what its nodes promise.
#
# usage: scripts/test-topologies.sh [SLICE/SLICES]      such as 1/4; default: all
# SECONDS_EACH: how long each runs, default 40. JOBS: how many side by side, default 2.
# TABLE: a document whose table of topologies is replaced by this one, such as docs/topologies.md; all of them only.
# RUN_TOPOLOGY: the program, where it was built already; default: it is built for release.
# LVA_SHARED_DATA: directory with `topologies/`, default ../shared/data.
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
if [ -n "${TABLE:-}" ] && ! grep --quiet '^| topology |' "$TABLE"; then
    echo "test-topologies: TABLE=$TABLE has no table that begins with '| topology |'" >&2
    exit 1
fi
if [ -n "${TABLE:-}" ] && [ "${slice#*/}" -ne 1 ]; then
    echo "test-topologies: a slice would leave the table of $TABLE without the others; run all, or without TABLE" >&2
    exit 1
fi
if [ -z "${RUN_TOPOLOGY:-}" ]; then
    cargo build --release --quiet --example run-topology
fi
program=${RUN_TOPOLOGY:-${CARGO_TARGET_DIR:-target}/release/examples/run-topology}
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
    # Its exit status counts, not its output; the table shows "missing".
    "$program" "$data/topologies/$file" --simulate --seconds "$each" --recordings "$work/$name" \
        > "$work/$name.out" 2> "$work/$name.err" || tail -n 3 "$work/$name.err" >&2
    tail -n 1 "$work/$name.out" > "$work/$name.summary"
    rm -rf "${work:?}/$name" "$work/$name.out"
    echo "$file done" >&2
}
export -f run_one
export program data each work
printf '%s\n' "${files[@]}" | xargs --max-procs "${JOBS:-2}" -I{} bash -c 'run_one "$1"' _ {}

python3 - "$work" "${TABLE:-}" "${files[@]}" <<'PY'
import json, sys
work, table, files = sys.argv[1], sys.argv[2], sys.argv[3:]

def listed(counts):
    return ", ".join(f"{name} {count}" for name, count in counts.items())

def row(file):
    try:
        line = json.loads(open(f"{work}/{file.replace('/', '-')}.summary").read())
        frames, recorded = line["frames"], line["recordings"]
    except (ValueError, KeyError, OSError):
        return False, f"| {file} | **no**: it did not run | | | | | | |"
    ok = "yes" if line["ok"] else "**no**: " + "; ".join([line.get("error", "")][: "error" in line] + line.get("missing", []))
    dropped = "; ".join(f"{node}: {listed(why)}" for node, why in line.get("dropped_by_node", {}).items()) or "0"
    seconds = ", ".join(f"{r['sink']} {r['seconds']:.1f} s" for r in recorded)
    cells = [file, ok, frames["received"], frames["sent"], frames["answered"], dropped, listed(line["events"]), seconds]
    return line["ok"], "| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

rows = [row(file) for file in files]
lines = ["| topology | ok | received | sent | answered | dropped, by node | events | recordings |", "|---|---|---|---|---|---|---|---|"]
lines += [text for _, text in rows]
print("\n".join(lines))
good = sum(ok for ok, _ in rows)
print(f"{good} passed, {len(rows) - good} failed")
if table:
    old = open(table).read().split("\n")
    begin = next(place for place, text in enumerate(old) if text.startswith("| topology |"))
    end = next((place for place in range(begin, len(old)) if not old[place].startswith("|")), len(old))
    open(table, "w").write("\n".join(old[:begin] + lines + old[end:]))
sys.exit(good < len(rows))
PY
