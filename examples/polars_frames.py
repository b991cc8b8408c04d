"""polars: frames through file objects."""

import polars as pl

import llmzip

frame = pl.DataFrame({"id": range(500), "word": ["wind", "rain", "sun", "snow", "fog"] * 100})

with llmzip.open("words.jsonl.llmz", "wb", level=1) as file:
    frame.write_ndjson(file)
with llmzip.open("words.jsonl.llmz") as file:
    assert pl.read_ndjson(file).equals(frame)

with llmzip.open("words.csv.llmz", "wb", level=1) as file:
    frame.write_csv(file)
with llmzip.open("words.csv.llmz") as file:
    assert pl.read_csv(file).equals(frame)
print(frame.group_by("word").len().sort("word"))
