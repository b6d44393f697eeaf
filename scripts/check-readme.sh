#!/usr/bin/env bash
# Runs the marked commands of documents, and no others. A fenced `sh` block with the line
#     <!-- ci -->
# directly above it is run from the root of the repository, as one script in a shell of its own that ends at the first
# failure. Usage: check-readme.sh [--list] [--dev] [FILE.md…]; without files, every Markdown file of the repository. With --dev,
# cargo's commands run without their `--release`: what they print is the same, and what the tests have built serves again.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p target # the documents write there, and cargo may build elsewhere

list_only=no
dev=no
while [[ "${1:-}" == --* ]]; do
    case $1 in
        --list) list_only=yes ;;
        --dev) dev=yes ;;
        *) echo "check-readme: unknown option '$1'; there are --list and --dev" >&2; exit 2 ;;
    esac
    shift
done

files=("$@")
if [ ${#files[@]} -eq 0 ]; then
    mapfile -t files < <(find . -name target -prune -o -name '.?*' -prune -o -name '*.md' -print | sort)
fi

blocks=$(mktemp --directory)
trap 'rm -rf "$blocks"' EXIT

# One file per marked block, named FILE-NUMBER:LINE; a marker without its block, or a block without an end, is an error.
number=0
for file in "${files[@]}"; do
    [ -r "$file" ] || { echo "check-readme: cannot read '$file'" >&2; exit 1; }
    number=$((number + 1))
    awk -v file="$file" -v prefix="$blocks/$(printf '%03d' "$number")" '
        function die(text) { print "check-readme: " file ":" NR ": " text > "/dev/stderr"; failed = 1; exit 1 }
        inside && /^```[ \t]*$/ { inside = 0; close(out); next }
        inside { print > out; next }
        marked && /^```sh[ \t]*$/ {
            marked = 0; inside = 1; out = sprintf("%s-%05d", prefix, NR)
            printf "" > out; next
        }
        marked { die("a ci marker has to stand directly above a ```sh block") }
        /^<!-- ci -->[ \t]*$/ { marked = 1 }
        END { if (!failed && (marked || inside)) die("the file ends before the marked block does") }
    ' "$file"
done

count=0
for block in "$blocks"/*; do
    [ -e "$block" ] || break
    name=$(basename "$block")
    file=${files[$((10#${name%-*} - 1))]}
    line=$((10#${name#*-}))
    count=$((count + 1))
    printf -- '--- %s:%d\n' "$file" "$line"
    [ $dev = no ] || sed -i 's/\(cargo .*\) --release /\1 /' "$block"
    sed 's/^/    /' "$block"
    [ $list_only = no ] || continue
    started=$SECONDS
    if ! timeout --kill-after=10 "${LVA_README_LIMIT_S:-1200}" bash -euo pipefail "$block" </dev/null; then
        echo "check-readme: the commands at $file:$line failed or ran past ${LVA_README_LIMIT_S:-1200} s" >&2
        exit 1
    fi
    echo "    ($((SECONDS - started)) s)"
done

if [ $list_only = yes ]; then
    echo "check-readme: $count blocks"
else
    echo "check-readme: $count blocks ran"
fi
