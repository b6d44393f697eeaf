#!/usr/bin/env bash
# Builds the part of FFmpeg that lva-edge uses, under the LGPL: decoders of H.264, H.265 and MJPEG, the MP4 writer, swscale; without
# network, filters, encoders and programs. From the source package of the Debian that this runs on, so that it has the sonames and
# symbol versions of the FFmpeg that the program was linked with.
#
#   scripts/image/ffmpeg.sh DIRECTORY     (the libraries come to DIRECTORY/lib, the licence beside them; kept between calls)
set -euo pipefail
out=$(realpath -m "${1:?usage: scripts/image/ffmpeg.sh DIRECTORY}")

missing() { echo "ffmpeg.sh: $1" >&2; exit 1; }
for tool in gcc make apt-get tar; do
    command -v "$tool" >/dev/null || missing "'$tool' is missing: apt-get install build-essential"
done
# Without it, the decoders have no code for vector units and take three times as long.
case $(uname -m) in
    x86_64) command -v nasm >/dev/null || missing "nasm is missing: apt-get install nasm" ;;
esac

version=$(dpkg-query -W -f '${Version}' libavcodec-dev 2>/dev/null) || missing "libavcodec-dev is missing: scripts/install-packages.sh"
if [ -f "$out/version" ] && [ "$(cat "$out/version")" = "$version" ]; then
    exit 0
fi
rm -rf "$out"
mkdir -p "$out/source" "$out/apt"
cd "$out/source"

# The sources of the packages that are configured here, without a change to the machine's lists.
find /etc/apt -name '*.list' -exec cat {} + 2>/dev/null | sed -n 's/^deb \(\[[^]]*\] \)\?/deb-src \1/p' >"$out/apt/sources.list"
for file in /etc/apt/sources.list.d/*.sources; do
    [ -f "$file" ] && sed 's/^Types:.*/Types: deb-src/' "$file" >"$out/apt/$(basename "$file")"
done
apt=(apt-get -qq -o "Dir::Etc::sourcelist=$out/apt/sources.list" -o "Dir::Etc::sourceparts=$out/apt"
    -o "Dir::State::lists=$out/apt/lists")
mkdir -p "$out/apt/lists/partial"
"${apt[@]}" update >&2
"${apt[@]}" source --download-only "ffmpeg=$version" >&2 2>/dev/null || "${apt[@]}" source --download-only ffmpeg >&2
tar --strip-components=1 -xf ffmpeg_*.orig.tar.xz

./configure --quiet --prefix="$out" --libdir="$out/lib" --enable-shared --disable-static --disable-autodetect \
    --disable-everything --disable-network --disable-programs --disable-doc --disable-debug --disable-avdevice --disable-avfilter \
    --disable-postproc --disable-swresample \
    --enable-decoder=h264,hevc,mjpeg,aac,opus --enable-parser=h264,hevc,mjpeg,aac,opus \
    --enable-demuxer=mov,matroska,h264,hevc --enable-muxer=mp4,mov --enable-protocol=file \
    --enable-bsf=h264_mp4toannexb,hevc_mp4toannexb,extract_extradata,aac_adtstoasc,vp9_superframe
make --quiet -j"$(nproc)" >&2
make --quiet install-libs >&2
strip --strip-unneeded "$out"/lib/*.so.*.*.*
cp COPYING.LGPLv2.1 "$out/COPYING.LGPLv2.1"
cd "$out"
rm -rf "$out/source" "$out/apt"
echo "$version" >"$out/version"
