#!/bin/sh
# Install llmzip with all extras into a fresh virtual environment; run linters, types and all tests but the slow ones
# (`pytest --slow` runs those too); then other compilers and machines, the oldest versions of dependencies, and sanitizers.
set -eu
cd "$(dirname "$0")/.."
python3 -m venv .venv-test
.venv-test/bin/pip install --quiet --upgrade pip
.venv-test/bin/pip install --quiet -e '.[train,bench,test,docs]'
.venv-test/bin/ruff check .
.venv-test/bin/ruff format --check .
# mypy reads the folders as the package llmzip, so that types are known from one folder to the other.
rm -rf build/types && mkdir -p build/types
cp -rs "$PWD/compressor" build/types/llmzip && cp -rs "$PWD/models" "$PWD/benchmarks" build/types/llmzip
(cd build/types && ../../.venv-test/bin/mypy --config-file ../../pyproject.toml -p llmzip)
# A story in the documents rotates logs; without logrotate that part of it is skipped.
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && ! command -v logrotate >/dev/null; then
    { apt-get -qq update && apt-get -qq install -y --no-install-recommends logrotate; } >/dev/null 2>&1 || echo "not to be had here: logrotate"
fi
# Two workers on two cores: more threads of torch in each would wait for each other.
OMP_NUM_THREADS=1 .venv-test/bin/pytest -q -n 2
.venv-test/bin/pytest -q --slow tests/face/test_distribution.py -k sdist
mkdir -p build
sh tests/portable/run.sh >build/portable.log 2>&1 & portable=$!
sh tests/wheel.sh oldest
sh tests/sanitizers/run.sh
status=0
wait "$portable" || status=$?
cat build/portable.log
exit "$status"
