"""``python -m llmzip``."""

from llmzip.cli import run

if __name__ == "__main__":  # processes of a pool import this file by another name
    run()
