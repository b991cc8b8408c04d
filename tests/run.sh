#!/bin/sh
# Install llmzip with all extras into a fresh virtual environment; run linters, types and all tests but the slow ones
# (`pytest --slow` runs those too); then other compilers and machines, and the oldest versions of dependencies.
set -eu
cd "$(dirname "$0")/.."
python3 -m venv .venv-test
.venv-test/bin/pip install --quiet --upgrade pip
.venv-test/bin/pip install --quiet -e '.[train,bench,test]'
.venv-test/bin/ruff check .
.venv-test/bin/ruff format --check .
.venv-test/bin/mypy compressor models benchmarks
.venv-test/bin/pytest -q -n 2
sh tests/portable/run.sh
sh tests/wheel.sh oldest
