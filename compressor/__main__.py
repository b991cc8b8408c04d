"""``python -m llmzip``."""

from llmzip.cli import run

run()
