"""What ``llmzip entropy`` says of a file: a summary, lines, tokens as CSV, a shaded page."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, NamedTuple

from llmzip.cli.entropy_page import Shading, entropy_page
from llmzip.cli.jobs import bar, say, shown
from llmzip.cli.options import ENCODER_ESTIMATORS, SHARE_ESTIMATORS
from llmzip.cli.safe_files import STANDARD_STREAM, Refusal, Source, open_source, open_target
from llmzip.estimates import TokenEntropies, token_entropies
from llmzip.network.model import Model, load_model

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LEAST_PREDICTABLE_LINES = 5
"""That the summary shows."""


class Wanted(NamedTuple):
    """What is to be reported, by the names of the options."""

    as_json: bool
    csv_name: str | None
    html_name: str | None
    estimator: str | None
    model: str | None
    quiet: bool


def report(name: str, wanted: Wanted) -> None:
    """Estimate the entropy of a file and write what is wanted.

    Raises:
        LlmzError, OSError: the file or the model cannot be read, or a report cannot be written.
        Refusal: the estimator needs what is not installed.
    """
    with open_source(name) as source:
        text = source.read_all()
        model = load_model(wanted.model)
        with bar(source, quiet=wanted.quiet, total=len(text)) as progress:
            estimates = token_entropies(text, model, progress, regress=wanted.estimator == "regression")
        further = estimates.regression
        if wanted.estimator in ENCODER_ESTIMATORS:
            further = _encoder_estimates(wanted.estimator, model, text)
        if wanted.csv_name:
            _write(wanted.csv_name, _csv(estimates, wanted.estimator, further), source)
        if wanted.html_name:
            title = os.path.basename(shown(name))
            shading = None
            if further is not None:
                shading = Shading(str(wanted.estimator), further, wanted.estimator in SHARE_ESTIMATORS)
            _write(wanted.html_name, entropy_page(title, text, estimates, shading), source)
    summary: dict[str, Any] = {"file": name} | estimates.summary()
    if further is not None:
        summary[f"{wanted.estimator}_per_token"] = round(float(further.sum()) / max(1, further.size), 4)
    by_line = estimates.by_line(text)
    if wanted.as_json:
        say(json.dumps(summary | {"bits_by_line": [round(float(bits), 3) for bits in by_line]}, indent=2))
    elif STANDARD_STREAM not in (wanted.csv_name, wanted.html_name):
        summary["file"] = shown(name)
        say(", ".join(f"{key.replace('_', ' ')}: {value}" for key, value in summary.items()))
        for number in sorted(by_line.argsort()[::-1][:LEAST_PREDICTABLE_LINES]):
            say(f"line {number + 1}: {by_line[number]:.1f} bits")


def _encoder_estimates(estimator: str, model: Model, text: bytes) -> NDArray[np.float64]:
    try:
        from llmzip.models.estimators import encoder_estimate
    except ImportError as error:
        raise Refusal(f"--estimator {estimator} needs {error.name}: pip install 'llmzip[train]'") from None
    return encoder_estimate(estimator, model, model.tokenizer.encode(text))


def _csv(estimates: TokenEntropies, estimator: str | None, further: NDArray[np.float64] | None) -> str:
    """A line for each token after one of names."""
    columns = {"offset": estimates.offsets, "length": estimates.lengths}
    bits = {"surprisal": estimates.surprisal, "entropy": estimates.entropy}
    if further is not None:
        bits[str(estimator)] = further
    rows = zip(*columns.values(), *([f"{b:.4f}" for b in column] for column in bits.values()), strict=True)
    return "\n".join([",".join((*columns, *bits)), *(",".join(map(str, row)) for row in rows), ""])


def _write(name: str, text: str, source: Source) -> None:
    """Write a report about ``source``; one that is there already is replaced."""
    with open_target(name, source, force=True, like_source=False) as target:
        target.write(text.encode())
