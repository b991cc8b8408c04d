"""fsspec: the compression ``llmzip`` for files anywhere, and URLs with ``llmzip://`` for programs that take URLs."""

import json

import fsspec

import llmzip  # noqa: F401 - makes the compression known

events = [{"id": number, "kind": "login" if number % 3 else "logout"} for number in range(40)]

# Any place that fsspec knows will do: s3://, gs://, sftp://, a path.
with fsspec.open("memory://events.jsonl.llmz", "wt", compression="infer") as file:
    for event in events:
        print(json.dumps(event), file=file)

with fsspec.open("memory://events.jsonl.llmz", "rt", compression="infer") as file:
    assert [json.loads(line) for line in file] == events

# The same file by its URL alone, for programs that were never told of llmzip.
with fsspec.open("llmzip://events.jsonl::memory://events.jsonl.llmz", "rt") as file:
    assert json.loads(file.readline()) == events[0]

stored = fsspec.filesystem("memory").size("/events.jsonl.llmz")
print(f"{len(events)} events in {stored} bytes")
