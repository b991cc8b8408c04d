"""Corpora: many files as one set of archives with a manifest, made on one machine or on many.

Needs the extra ``corpus`` (``pip install 'llmzip[corpus]'``): Dask does the work, fsspec reaches the files. What the
command ``llmzip corpus`` does is here as functions:

    workforce = Workforce(scheduler="tcp://10.0.0.1:8786")
    compress_corpus(workforce, ["s3://bucket/mails"], "s3://bucket/mails-llmz", Settings(level=1))
"""

from __future__ import annotations

from llmzip.corpus.cluster import Workforce
from llmzip.corpus.manifest import Archive, Manifest, Part
from llmzip.corpus.operations import (
    IncompleteError,
    Made,
    Report,
    compress_corpus,
    load_manifest,
    open_document,
    restore_corpus,
    verify_corpus,
)
from llmzip.corpus.places import Place
from llmzip.corpus.planning import SourceError

__all__ = [
    "Archive",
    "IncompleteError",
    "Made",
    "Manifest",
    "Part",
    "Place",
    "Report",
    "SourceError",
    "Workforce",
    "compress_corpus",
    "load_manifest",
    "open_document",
    "restore_corpus",
    "verify_corpus",
]
