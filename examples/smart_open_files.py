"""smart_open: files that end in .llmz are compressed and restored as they are written and read."""

import smart_open

import llmzip  # noqa: F401 - makes the suffix known

with smart_open.open("letters.txt.llmz", "w", encoding="utf-8") as file:
    for day in range(1, 29):
        print(f"Dear Anna, on the {day}th of February it rained again.", file=file)

with smart_open.open("letters.txt.llmz", encoding="utf-8") as file:
    lines = list(file)
print(len(lines), "letters, the last:", lines[-1].strip())
assert len(lines) == 28
