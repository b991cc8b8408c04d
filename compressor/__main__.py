"""``python -m llmzip``."""

from llmzip.cli.commands import main

main(prog_name="llmzip")
