#!/bin/sh
# The core under sanitizers: sh tests/sanitizers/run.sh [long]. PYTHON is one that has llmzip's dependencies and pytest.
#
# In C, with gcc (long: with clang too): kernels, golden vectors, the fuzzers' seeds, and golden vectors with several threads under
# ThreadSanitizer; long: the pool of threads under stress as well. In Python, with the extension module built by gcc: archives of all
# methods, whole and damaged, every bit of one flipped; long: every kernel of the machine, and tests of formats, models, mixing and texts.
set -eu
cd "$(dirname "$0")/../.."
PYTHON=${PYTHON:-.venv-test/bin/python}
long=${1:-}
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
export ASAN_OPTIONS=allocator_may_return_null=1:detect_leaks=1 UBSAN_OPTIONS=print_stacktrace=1
address="-g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=all"
vectors=$folder/vectors
"$PYTHON" -m tests.portable.vectors "$vectors"
export LLMZIP_VECTORS="$vectors"

in_c() { # compiler, folder, flags, programs
    make -s -j2 -C tests/portable CC="$1" BUILD="$folder/$2" CFLAGS="$3" $(for program in $4; do echo "$folder/$2/$program"; done)
}

compilers=gcc
[ -z "$long" ] || compilers="gcc $(command -v clang || command -v clang-14 || true)"
for compiler in $compilers; do
    echo "address and undefined behaviour, $compiler"
    in_c "$compiler" address "$address" "kernels threads restore replay_models replay_text"
    "$folder/address/kernels"
    [ -z "$long" ] || "$folder/address/threads"
    for threads in ${long:+1} 5; do
        "$folder/address/restore" "$vectors" $threads
    done
    "$folder/address/replay_models" tests/fuzz/seeds/models/*
    "$folder/address/replay_text" tests/fuzz/seeds/text/*
    echo "threads, $compiler"
    in_c "$compiler" race "-g -O1 -fsanitize=thread" "threads restore"
    [ -z "$long" ] || "$folder/race/threads"
    "$folder/race/restore" "$vectors" 5
    rm -r "$folder/address" "$folder/race"
done

echo "archives, gcc"
CC=gcc CFLAGS="$address" "$PYTHON" setup.py -q build --build-base "$folder/base" --build-lib "$folder/lib"
export PYTHONPATH="$folder/lib:$PWD" PYTHONDONTWRITEBYTECODE=1
sanitized() { # without leaks: Python itself keeps memory to the end
    ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 LD_PRELOAD="$(gcc -print-file-name=libasan.so) $(gcc -print-file-name=libubsan.so)" "$PYTHON" "$@"
}
sanitized -c 'import llmzip, sys; assert llmzip.__file__.startswith(sys.argv[1]), llmzip.__file__' "$folder/lib"
if [ -z "$long" ]; then
    sanitized -m tests.sanitizers.damage --mutations 200 --flips --scale 20
else
    for kernel in $(sanitized -c 'from llmzip.core import _native; print(*_native.kernels())'); do
        LLMZIP_KERNEL=$kernel sanitized -m tests.sanitizers.damage --mutations 5000 --flips --scale 20 --seed 1
    done
    sanitized -m tests.sanitizers.damage --mutations 300 --shipped --scale 40 --seed 2
    sanitized -m pytest -q tests/format tests/network tests/mixing tests/text tests/blocks -p no:cacheprovider -k "not memory and not time"
fi
