#!/bin/sh
# Golden vectors restored, and written again, by the core alone: by compilers and optimisation levels that this machine has, and for aarch64 and
# big-endian s390x under qemu. PYTHON writes the vectors. As root, what is missing is installed where apt-get can have it.
set -eu
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-.venv-test/bin/python}
find_clang() { command -v clang || command -v clang-14 || true; }
have() { command -v "$1" >/dev/null; }

if [ "$(id -u)" = 0 ] && have apt-get && ! { [ -n "$(find_clang)" ] && have aarch64-linux-gnu-gcc && have s390x-linux-gnu-gcc && have qemu-s390x; }; then
    packages="clang gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-s390x-linux-gnu libc6-dev-s390x-cross qemu-user"
    { apt-get -qq update && apt-get -qq install -y --no-install-recommends $packages; } >/dev/null 2>&1 || echo "not to be had here: some of $packages"
fi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$PYTHON" -m tests.portable.vectors "$folder/vectors"

check() { # name, compiler, flags, what runs the program, linker flags, threads
    make -s -j2 -C tests/portable CC="$2" BUILD="$folder/$1" CFLAGS="$3" LDFLAGS="${5:-}" "$folder/$1/restore"
    for threads in ${6:-1 2 5}; do
        echo "$1: $($4 "$folder/$1/restore" "$folder/vectors" $threads)"
    done
    rm -r "$folder/$1"
}

check gcc-O0 gcc -O0 "" "" 5
check gcc-O3 gcc -O3 ""
if [ -n "$(find_clang)" ]; then
    check clang-O0 "$(find_clang)" -O0 "" "" 2
    check clang-O3 "$(find_clang)" -O3 "" "" "1 5"
else
    echo "clang is not here"
fi
for machine in aarch64 s390x; do
    if have $machine-linux-gnu-gcc && have qemu-$machine; then
        check $machine $machine-linux-gnu-gcc -O2 qemu-$machine -static "1 5"
    else
        echo "$machine: no compiler or no qemu here"
    fi
done
