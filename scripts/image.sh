#!/usr/bin/env bash
# Builds the image of lva-edge, and prints its name and size. Needs Debian packages only: the program is built here, and everything
# else comes from this machine. Nothing is fetched from a registry.
#
#   scripts/image.sh [NAME]            default: localhost/lva-edge:VERSION
#
# LVA_EDGE_BIN: a program that is built already; LVA_IMAGE_BASE: another base than `scratch`; LVA_IMAGE_TOOL: buildah, podman or docker.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
name=${1:-localhost/lva-edge:$version}
target=${CARGO_TARGET_DIR:-target}
context=$target/image
root=$context/root

tool=${LVA_IMAGE_TOOL:-}
for candidate in buildah podman docker; do
    [ -n "$tool" ] || ! command -v "$candidate" >/dev/null || tool=$candidate
done
[ -n "$tool" ] || { echo "image: no buildah, podman or docker: apt-get install buildah podman runc" >&2; exit 1; }

program=${LVA_EDGE_BIN:-}
if [ -z "$program" ]; then
    cargo build --release --bin lva-edge
    program=$target/release/lva-edge
fi
scripts/image/ffmpeg.sh "$context/ffmpeg"

rm -rf "$root"
mkdir -p "$context/state" "$root"/{usr/bin,usr/lib,etc/ssl/certs,usr/share/doc/lva-edge,tmp,run}
strip --strip-all -o "$root/usr/bin/lva-edge" "$program"

# The program's libraries, FFmpeg's from the build above. Where the loader finds them is in its own path, /etc/ld.so.cache is none.
libraries=$context/ffmpeg/lib
LD_LIBRARY_PATH=$libraries ldd "$root/usr/bin/lva-edge" | while read -r soname arrow path _; do
    case "$soname $arrow" in
        *" =>") cp --dereference "$path" "$root/usr/lib/$soname" ;;
        /lib*) mkdir -p "$root$(dirname "$soname")" && cp --dereference "$soname" "$root$soname" ;;
    esac
done
# Loaded by name, not by the linker: names of hosts.
for library in libnss_dns.so.2 libnss_files.so.2 libresolv.so.2; do
    path=$(ldconfig -p | awk -v name="$library" '$1 == name && !found++ { print $NF }')
    [ -z "$path" ] || cp --dereference "$path" "$root/usr/lib/$library"
done
mkdir -p "$root/lib"
cp --dereference /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
echo 'hosts: files dns' >"$root/etc/nsswitch.conf"
printf 'root:x:0:0::/:/none\nlva:x:10001:10001::/var/lib/lva:/none\n' >"$root/etc/passwd"
printf 'root:x:0:\nlva:x:10001:\n' >"$root/etc/group"
cp LICENSE-MIT LICENSE-APACHE "$context/ffmpeg/COPYING.LGPLv2.1" "$root/usr/share/doc/lva-edge/"
cat >"$root/usr/share/doc/lva-edge/README" <<TEXT
lva-edge $version: MIT or Apache-2.0. It is linked with the decoders of FFmpeg $(cat "$context/ffmpeg/version"), shared libraries under the
LGPL 2.1 or later (COPYING.LGPLv2.1), built from Debian's source package by scripts/image/ffmpeg.sh; they can be replaced by others.
The C library is Debian's (LGPL 2.1 or later).
TEXT
chmod -R u=rwX,go=rX "$root"
chmod 1777 "$root/tmp"
# The same files give the same image.
stamp=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2>/dev/null || echo 0)}
find "$root" -exec touch --no-dereference --date="@$stamp" {} +

base=${LVA_IMAGE_BASE:-scratch}
case $(basename "$tool") in
    buildah) build=("$tool" bud --quiet --isolation chroot --format docker --timestamp "$stamp") ;;
    podman) build=("$tool" build --quiet --isolation chroot --format docker --timestamp "$stamp") ;;
    *) build=("$tool" build --quiet) ;;
esac
"${build[@]}" --build-arg BASE="$base" --target lva-edge -t "$name" -f Containerfile "$context" >/dev/null
for role in lva ava spatial-analysis rtspsim; do
    "${build[@]}" --build-arg BASE="$base" --target "$role" -t "$name-$role" -f Containerfile "$context" >/dev/null
done
files=$(cd "$root" && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1)
echo "image: $name (and -lva, -ava, -spatial-analysis, -rtspsim), $(du -sm --apparent-size "$root" | cut -f1) MB, of which the program $(du -m --apparent-size "$root/usr/bin/lva-edge" | cut -f1); files $files"
