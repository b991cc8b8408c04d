"""Hugging Face datasets: JSON lines that end in .llmz, loaded whole or as a stream.

``import llmzip`` is what lets datasets know the suffix. Where it cannot be imported first, a URL says the same:
``data_files="llmzip://part-0.jsonl::part-0.jsonl.llmz"``.
"""

import json

import datasets

import llmzip

for part in range(2):
    with llmzip.open(f"part-{part}.jsonl.llmz", "wt", level=1, encoding="utf-8") as file:
        for number in range(50):
            print(json.dumps({"id": 50 * part + number, "text": f"This is sentence {number}."}), file=file)

data = datasets.load_dataset("json", data_files="*.jsonl.llmz", split="train", cache_dir="cache")
assert sorted(data["id"]) == list(range(100))
print(data)

stream = datasets.load_dataset("json", data_files="*.jsonl.llmz", split="train", streaming=True)
assert sorted(row["id"] for row in stream) == list(range(100))

by_url = "llmzip://part-0.jsonl::part-0.jsonl.llmz"
stream = datasets.load_dataset("json", data_files=by_url, split="train", streaming=True)
assert [row["id"] for row in stream] == list(range(50))
