#!/usr/bin/env bash
# Installs the system packages that building and testing need; prints one line and changes nothing when all are there.
set -euo pipefail

packages=(
    # a linker and the C headers that bindgen reads
    gcc libc6-dev make pkg-config libclang-dev
    # FFmpeg's libraries, linked dynamically by lva-framing, lva-recording and the examples
    libavcodec-dev libavformat-dev libavutil-dev libswscale-dev
    # the programs ffmpeg and ffprobe, used by tests only
    ffmpeg
    # scripts/check-cycles.py
    python3
)

# The brokers that tests start: mosquitto with mosquitto_passwd, and nats-server. Only with --with-tests, as `make test` does: the
# packages start brokers on ports 1883 and 4222, which are turned off again below.
brokers=(mosquitto nats-server)
# With them, a browser that looks at the console (some 300 MB).
tests=("${brokers[@]}" chromium)

# Other people's RTSP programs, against which tests play both ways where they are there: GStreamer with its Python
# bindings, encoders and TLS, and VLC. Some 200 MB, so only with --with-peers, as CI does.
peers=(
    gstreamer1.0-tools gstreamer1.0-plugins-base gstreamer1.0-plugins-good gstreamer1.0-plugins-bad
    gstreamer1.0-plugins-ugly gstreamer1.0-libav glib-networking
    python3-gi gir1.2-gst-rtsp-server-1.0
    vlc-bin vlc-plugin-base
)
case ${1:-} in
    '') ;;
    --with-tests) packages+=("${tests[@]}") ;;
    --with-peers) packages+=("${tests[@]}" "${peers[@]}") ;;
    *)
        echo "install-packages: unknown argument '$1'; there are --with-tests and --with-peers" >&2
        exit 2
        ;;
esac

by_hand() {
    printf '%s\n' "$1" >&2
    printf 'Install these packages by hand (Debian names), then run the command again:\n  %s\n' "$2" >&2
    exit 1
}

if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
    by_hand "install-packages: this is not a Debian or Ubuntu system (apt-get or dpkg-query is absent)." "${packages[*]}"
fi

# One name may stand for several architectures; one that is installed is enough.
is_installed() {
    dpkg-query --show --showformat='${db:Status-Status}\n' "$1" 2>/dev/null | grep --quiet --line-regexp installed
}

missing=()
for package in "${packages[@]}"; do
    is_installed "$package" || missing+=("$package")
done

if [ ${#missing[@]} -eq 0 ]; then
    echo "install-packages: all ${#packages[@]} packages are there"
    exit 0
fi

as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null ||
        by_hand "install-packages: packages are missing, and this is neither root nor a user with sudo." "${missing[*]}"
    as_root=(sudo)
    # Without a terminal, no password can be typed.
    [ -t 0 ] || as_root+=(--non-interactive)
fi

# `env`, because sudo drops the variables of its caller.
apt=(${as_root[@]+"${as_root[@]}"} env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=120)

echo "install-packages: installing ${missing[*]}"
"${apt[@]}" update </dev/null ||
    by_hand "install-packages: apt-get update failed (its message is above); is there a network, and may you use sudo?" "${missing[*]}"
"${apt[@]}" install --yes --no-install-recommends "${missing[@]}" </dev/null ||
    by_hand "install-packages: apt-get install failed (its message is above)." "${missing[*]}"

for package in "${missing[@]}"; do
    is_installed "$package" || by_hand "install-packages: '$package' is still missing after the installation." "$package"
done

# Tests start brokers of their own. One that was there before this run is left alone.
for broker in "${brokers[@]}"; do
    if [[ " ${missing[*]} " == *" $broker "* ]] && [ -d /run/systemd/system ]; then
        ${as_root[@]+"${as_root[@]}"} systemctl disable --quiet --now "$broker.service" ||
            echo "install-packages: $broker.service could not be turned off; a broker listens on its port" >&2
    fi
done
echo "install-packages: done"
