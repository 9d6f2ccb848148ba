#!/bin/sh
# Compiles *.in into hashed *.txt (`make lock`). Versions already in the .txt files are kept;
# `sh requirements/lock.sh --upgrade` takes the newest instead.
set -eu
cd "$(dirname "$0")"
bin=../.venv/bin

compile() {
    "$bin/pip-compile" --quiet --generate-hashes --strip-extras --allow-unsafe --no-header \
        --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --no-emit-options "$@"
}

# pip-compile leaves out what the Python it runs on does not need. One dependency exists only for newer
# Pythons (3.13 dropped `audioop`, which discord.py imports), so its wheels are hashed here, one a platform.
newer_pythons() {
    pin=audioop-lts==0.2.2
    folder=$(mktemp -d)
    for platform in manylinux_2_28_x86_64 manylinux_2_28_aarch64 musllinux_1_2_x86_64 musllinux_1_2_aarch64 \
        macosx_11_0_arm64 macosx_11_0_x86_64 win_amd64 win_arm64; do
        "$bin/pip" download --quiet --no-deps --only-binary :all: --python-version 3.13 --platform "$platform" \
            --dest "$folder" "$pin" 2>/dev/null || echo "no $pin wheel for $platform" >&2
    done
    printf '%s ; python_version >= "3.13"' "$pin"
    "$bin/pip" hash "$folder"/*.whl | sed -n 's/^\(--hash=.*\)$/\1/p' | sort -u | while read -r line; do
        printf ' \\\n    %s' "$line"
    done
    printf '\n    # via discord-py, on Python 3.13 and newer\n'
    rm -r "$folder"
}

compile --output-file runtime.txt "$@" runtime.in
newer_pythons >>runtime.txt
compile --output-file dev.txt "$@" dev.in
