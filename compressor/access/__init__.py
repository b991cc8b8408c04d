"""Reading from the middle: ranges of plain bytes, records, and what a file has to say for it."""
