#!/usr/bin/env bash
# Fails when a crate imports what it may not. The drawing is in docs/architecture.md; the two tables below are its text
# for machines. Normal and build dependencies count, with all features on; what only tests use does not.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."

# crate, floor, and what of the house it may import: `below` (any crate of a lower floor) or a list.
floors='
lva-graph-model         0  -
lva-inference-schema    0  -
lva-rtsp                0  -
lva-framing             0  -
lva-recording           0  -
lva-inference           0  -
lva-zones               1  lva-inference-schema
lva-extension-protocol  1  lva-inference-schema
lva-spatial-analysis    2  lva-inference,lva-inference-schema,lva-zones,lva-extension-protocol
lva-graph-runtime       2  lva-graph-model,lva-inference-schema,lva-rtsp,lva-framing,lva-recording,lva-zones,lva-extension-protocol
lva-edge-module         3  below
lva-sample-world        4  -
lva-examples            4  below,lva-sample-world
'

# crate, the features to look at, and libraries that it must not reach at any depth.
never='
lva-graph-model         --all-features         tokio,tonic,ffmpeg-sys-next,retina
lva-inference-schema    --all-features         tokio,tonic,ffmpeg-sys-next,retina
lva-zones               --all-features         tokio,tonic,ffmpeg-sys-next,retina
lva-rtsp                --all-features         tonic,ffmpeg-sys-next
lva-recording           --all-features         tonic,retina
lva-framing             --all-features         tokio,tonic,retina
lva-extension-protocol  --all-features         ffmpeg-sys-next,retina
lva-inference           --no-default-features  tokio,tonic,ffmpeg-sys-next,retina,rten,ort,image
lva-inference           --all-features         tonic,ffmpeg-sys-next,retina
lva-spatial-analysis    --all-features         ffmpeg-sys-next,retina
'

failed=0
complain() {
    echo "check-floors: $*" >&2
    failed=1
}

# The floor of a crate, or nothing when the table does not know it.
floor_of() { awk -v name="$1" '$1 == name { print $2 }' <<<"$floors"; }

# Names of the packages that `cargo tree` prints, the asked one included.
tree() {
    local out
    out=$(cargo tree --quiet --edges normal,build --target all --prefix none "$@")
    awk 'NF { print $1 }' <<<"$out" | sort --unique
}

members=$(tree --workspace --depth 0)
checked=0
for member in $members; do
    floor=$(floor_of "$member")
    if [ -z "$floor" ]; then
        complain "$member has no floor yet: give it a row in scripts/check-floors.sh and in docs/architecture.md"
        continue
    fi
    allowed=,$(awk -v name="$member" '$1 == name { print $3 }' <<<"$floors"),
    imports=$(tree --package "$member" --all-features --depth 1)
    checked=$((checked + 1))
    for import in $imports; do
        [[ $import == lva-* && $import != "$member" ]] || continue
        [[ $allowed == *",$import,"* ]] && continue
        import_floor=$(floor_of "$import")
        [[ $allowed == *,below,* && -n $import_floor && $import_floor -lt $floor ]] && continue
        complain "$member (floor $floor) imports $import (floor ${import_floor:-unknown}), which the table does not allow"
    done
done

while read -r crate features libraries; do
    [ -n "$crate" ] || continue
    grep --quiet --line-regexp --fixed-strings -- "$crate" <<<"$members" || continue
    reached=$(tree --package "$crate" "$features")
    for library in ${libraries//,/ }; do
        if grep --quiet --line-regexp --fixed-strings -- "$library" <<<"$reached"; then
            complain "$crate ($features) reaches $library; find the way with: cargo tree -p $crate $features -e normal,build -i $library"
        fi
    done
done <<<"$never"

[ $failed -eq 0 ] || exit 1
echo "check-floors: $checked crates, each on its floor"
