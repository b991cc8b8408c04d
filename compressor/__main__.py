"""``python -m llmzip``."""

from llmzip.cli import main

main(prog_name="llmzip")
