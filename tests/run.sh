#!/bin/sh
# Install llmzip with all extras into a fresh virtual environment; run linters, types and all tests but the slow ones
# (`pytest --slow` runs those too); then other compilers and machines, the oldest versions of dependencies, and sanitizers.
set -eu
cd "$(dirname "$0")/.."
have() { command -v "$1" >/dev/null; }

# What a part of the tests wants, and without which that part is skipped: a story in the documents rotates logs, the pages of
# benchmarks are opened in a browser.
apt_packages() {
    if [ "$(id -u)" = 0 ] && have apt-get && ! { have logrotate && have chromium; }; then
        { apt-get -qq update && apt-get -qq install -y --no-install-recommends logrotate chromium; } >/dev/null 2>&1 ||
            echo "not to be had here: logrotate or chromium"
    fi
}
apt_packages & fetched=$!
python3 -m venv .venv-test
.venv-test/bin/pip install --quiet --upgrade pip
# Most of what is installed is never imported: what is, Python compiles then.
.venv-test/bin/pip install --quiet --no-compile -e '.[train,bench,test,docs]'
wait "$fetched"
.venv-test/bin/ruff check .
.venv-test/bin/ruff format --check .

types_and_sanitizers() {
    # mypy reads the folders as the package llmzip, so that types are known from one folder to the other.
    rm -rf build/types && mkdir -p build/types
    cp -rs "$PWD/compressor" build/types/llmzip && cp -rs "$PWD/models" "$PWD/benchmarks" build/types/llmzip
    (cd build/types && ../../.venv-test/bin/mypy --config-file ../../pyproject.toml -p llmzip)
    sh tests/sanitizers/run.sh
}

packages_and_machines() {
    .venv-test/bin/pytest -q --slow tests/face/test_distribution.py -k sdist
    sh tests/wheel.sh oldest
    sh tests/portable/run.sh
}

# Two workers on two cores: more threads of torch in each would wait for each other.
OMP_NUM_THREADS=1 .venv-test/bin/pytest -q -n 2
mkdir -p build

# Each of these keeps one core busy. They are jobs, as a command before || goes on after a failure.
types_and_sanitizers >build/sanitizers.log 2>&1 & sanitized=$!
packages_and_machines & packaged=$!
status=0
wait "$packaged" || status=$?
wait "$sanitized" || status=$?
cat build/sanitizers.log
exit "$status"
