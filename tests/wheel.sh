#!/bin/sh
# A wheel, installed where no compiler is to be found, with the oldest or the newest versions of all that it depends on; then used, and tested
# in part: PYTHON=... sh tests/wheel.sh oldest|newest
set -eu
cd "$(dirname "$0")/.."
PYTHON=${PYTHON:-python3}
folder=$(mktemp -d)
trap 'PATH=/usr/bin:/bin && rm -rf "$folder"' EXIT
"$PYTHON" -m venv "$folder/venv"
"$PYTHON" -m pip wheel --quiet --no-deps --wheel-dir "$folder" .
PATH="$folder/venv/bin" # no compiler from here on
python - "$1" <<'END' >"$folder/versions"
import re, sys, tomllib

with open("pyproject.toml", "rb") as file:
    for dependency in tomllib.load(file)["project"]["dependencies"]:
        name, version = re.match(r"([\w-]+)>=([\w.]+)", dependency).groups()
        print(f"{name}=={version}" if sys.argv[1] == "oldest" else dependency)
END
pip install --quiet -r "$folder/versions" "$folder"/llmzip-*.whl pytest hypothesis
python -c 'import shutil, sys; shutil.copytree("tests", sys.argv[1] + "/tests")' "$folder"
python -c 'import shutil, sys; shutil.copy("README.md", sys.argv[1] + "/plain")' "$folder"
llmzip -k -f "$folder/plain"
llmzip -t "$folder/plain.llmz"
llmzip -dc "$folder/plain.llmz" >"$folder/back"
python -c 'import filecmp, sys; a, b = sys.argv[1:]; sys.exit(not filecmp.cmp(a, b, False))' "$folder/plain" "$folder/back"
cd "$folder"
python -m pytest -q -o markers=slow -p no:cacheprovider tests/format tests/blocks/test_methods.py tests/network/test_network.py tests/face/test_files.py
