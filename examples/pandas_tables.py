"""pandas: tables as CSV and JSON lines, whole or in chunks, through file objects and by URL."""

import pandas as pd

import llmzip

table = pd.DataFrame({"city": ["Bern", "Oslo", "Rome"] * 200, "day": range(600), "degrees": [4.5, -3.25, 11.0] * 200})

with llmzip.open("weather.csv.llmz", "wb", level=1) as file:
    table.to_csv(file, index=False)
with llmzip.open("weather.csv.llmz") as file:
    pd.testing.assert_frame_equal(pd.read_csv(file), table)

# In chunks, so that no more than one of them is in memory.
with llmzip.open("weather.csv.llmz") as file:
    warm = sum((chunk["degrees"] > 10).sum() for chunk in pd.read_csv(file, chunksize=100))
print(warm, "warm days")

with llmzip.open("weather.jsonl.llmz", "wt", level=1, encoding="utf-8") as text:
    table.to_json(text, orient="records", lines=True)
with llmzip.open("weather.jsonl.llmz", "rt", encoding="utf-8") as text:
    pd.testing.assert_frame_equal(pd.read_json(text, lines=True), table)

# By URL; with "s3://bucket/weather.csv.llmz" behind the :: it comes from there.
pd.testing.assert_frame_equal(pd.read_csv("llmzip://weather.csv::weather.csv.llmz"), table)
pd.testing.assert_frame_equal(pd.read_json("llmzip://weather.jsonl::weather.jsonl.llmz", lines=True), table)
