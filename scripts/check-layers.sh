#!/usr/bin/env bash
# Fails when a crate imports what it may not. The drawing is in docs/architecture.md; the two tables below are its text
# for machines. Normal and build dependencies count, with all features on; what only tests use does not.
set -euo pipefail
shopt -s inherit_errexit
cd "$(dirname "$0")/.."

# crate, layer, and which of the workspace's crates it may import: `below` (any crate of a lower layer) or a list.
layers='
lva-media-types         -1  -
lva-client-transport    -1  lva-media-types
lva-server-transport    -1  -
lva-bitstream           -1  lva-media-types
lva-graph-model         0   lva-media-types
lva-inference-schema    0   lva-media-types
lva-rtsp                0   lva-media-types,lva-client-transport,lva-bitstream
lva-hub                 0   lva-media-types,lva-client-transport
lva-framing             0   lva-media-types,lva-bitstream
lva-recording           0   lva-media-types,lva-bitstream
lva-inference           0   lva-media-types
lva-zones               1   lva-media-types,lva-inference-schema
lva-extension-protocol  1   lva-media-types,lva-client-transport,lva-server-transport,lva-inference-schema
lva-onvif               1   lva-media-types,lva-client-transport
lva-rtsp-simulator      1   lva-media-types,lva-bitstream,lva-server-transport
lva-spatial-analysis    2   lva-media-types,lva-graph-model,lva-inference,lva-inference-schema,lva-zones,lva-extension-protocol
lva-graph-runtime       2   lva-media-types,lva-client-transport,lva-graph-model,lva-inference-schema,lva-rtsp,lva-framing,lva-recording,lva-zones,lva-extension-protocol,lva-onvif
lva-web-console         3   lva-media-types,lva-client-transport,lva-graph-model,lva-inference-schema,lva-rtsp,lva-framing,lva-recording,lva-zones,lva-extension-protocol,lva-spatial-analysis,lva-graph-runtime
lva-edge-module         4   below
lva-sample-world        5   -
lva-examples            5   below,lva-sample-world
'

# crate, the features to look at, and libraries that it must not reach at any depth.
never='
lva-media-types         --all-features         bytes,serde,tokio,tonic,ffmpeg-sys-next,retina
lva-bitstream           --all-features         bytes,serde,tokio,tonic,ffmpeg-sys-next,retina
lva-client-transport    --all-features         tonic,ffmpeg-sys-next,retina
lva-server-transport    --all-features         serde,tonic,ffmpeg-sys-next,retina
lva-graph-model         --all-features         tokio,tonic,ffmpeg-sys-next,retina
lva-inference-schema    --all-features         tokio,tonic,ffmpeg-sys-next,retina
lva-zones               --all-features         tokio,tonic,ffmpeg-sys-next,retina
lva-rtsp                --all-features         tonic,ffmpeg-sys-next
lva-hub                 --all-features         tonic,ffmpeg-sys-next,retina
lva-recording           --all-features         tonic,retina
lva-framing             --all-features         tokio,tonic,retina
lva-onvif               --all-features         tonic,ffmpeg-sys-next,retina
lva-rtsp-simulator      --all-features         tonic,ffmpeg-sys-next,retina
lva-extension-protocol  --all-features         ffmpeg-sys-next,retina
lva-inference           --no-default-features  tokio,tonic,ffmpeg-sys-next,retina,rten,ort,image
lva-inference           --features=async,image-codecs,openvino,tensorrt  tokio,tonic,ffmpeg-sys-next,retina
lva-inference           --all-features         ffmpeg-sys-next,retina
lva-spatial-analysis    --all-features         ffmpeg-sys-next,retina
'

failed=0
report() {
    echo "check-layers: $*" >&2
    failed=1
}

# The layer of a crate, or nothing when the table does not know it.
layer_of() { awk -v name="$1" '$1 == name { print $2 }' <<<"$layers"; }

# Names of the packages that `cargo tree` prints, the asked one included.
tree() {
    local out
    out=$(cargo tree --quiet --edges normal,build --target all --prefix none "$@")
    awk 'NF { print $1 }' <<<"$out" | sort --unique
}

members=$(tree --workspace --depth 0)
checked=0
for member in $members; do
    layer=$(layer_of "$member")
    if [ -z "$layer" ]; then
        report "$member has no layer yet: give it a row in scripts/check-layers.sh and in docs/architecture.md"
        continue
    fi
    allowed=,$(awk -v name="$member" '$1 == name { print $3 }' <<<"$layers"),
    imports=$(tree --package "$member" --all-features --depth 1)
    checked=$((checked + 1))
    for import in $imports; do
        [[ $import == lva-* && $import != "$member" ]] || continue
        [[ $allowed == *",$import,"* ]] && continue
        import_layer=$(layer_of "$import")
        [[ $allowed == *,below,* && -n $import_layer && $import_layer -lt $layer ]] && continue
        report "$member (layer $layer) imports $import (layer ${import_layer:-unknown}), which the table does not allow"
    done
done

while read -r crate features libraries; do
    [ -n "$crate" ] || continue
    grep --quiet --line-regexp --fixed-strings -- "$crate" <<<"$members" || continue
    reached=$(tree --package "$crate" "$features")
    for library in ${libraries//,/ }; do
        if grep --quiet --line-regexp --fixed-strings -- "$library" <<<"$reached"; then
            report "$crate ($features) reaches $library; find the way with: cargo tree -p $crate $features -e normal,build -i $library"
        fi
    done
done <<<"$never"

[ $failed -eq 0 ] || exit 1
echo "check-layers: $checked crates, each on its layer"
