"""Softmax in integers: from the head's products to cumulative frequencies of tokens."""

from __future__ import annotations

import numpy as np

from llmzip.network.compilation import compiled
from llmzip.network.fixed_point import exp_weight, rescale_sum

FREQUENCY_BITS = 24
"""A token distribution is integers whose sum is at most 2^24, each at least 1."""


@compiled
def score_tokens(logits, multiplier, bias, first, after, best):
    """Sums of the head to logits, in place, for tokens from ``first`` to ``after``; the best of each row goes to
    ``best`` int64 ``[rows]``."""
    factors, biases = multiplier[first:after], bias[first:after]
    for r in range(logits.shape[0]):  # slices from 0 on become vector instructions, ranges of a row do not
        most = np.int32(-(1 << 31))
        row = logits[r, first:after]
        for v in range(row.size):
            row[v] = np.int32(rescale_sum(row[v], factors[v]) + biases[v])
            most = max(most, row[v])
        best[r] = most


@compiled
def weigh_tokens(logits, best, first, after, coarse, fine, totals):
    """Logits to weights ``2^30 exp``, in place; their sums of each row go to ``totals`` int64 ``[rows]``.

    Args:
        best: int64 ``[parts, rows]``, the best logit of each part of the vocabulary.
    """
    for r in range(logits.shape[0]):
        most = best[0, r]
        for part in range(1, best.shape[0]):
            most = max(most, best[part, r])
        total = np.int64(0)
        row = logits[r, first:after]
        for v in range(row.size):
            weight = exp_weight(most - np.int64(row[v]), coarse, fine)
            row[v] = np.int32(weight)
            total += weight
        totals[r] = total


@compiled
def add_up_frequencies(weights, totals, first, after, cumulative, sums):
    """Weights to cumulative frequencies from ``first`` to ``after``, from 0 on; their sums go to ``sums`` int64
    ``[rows]``.

    Args:
        totals: int64 ``[parts, rows]``, of each part of the vocabulary.
        cumulative: int32 ``[rows, V + 1]``, of which ``[:, first + 1 : after + 1]`` is written.
    """
    vocabulary = weights.shape[1]
    for r in range(weights.shape[0]):
        total = np.int64(0)
        for part in range(totals.shape[0]):
            total += totals[part, r]
        inverse = (np.int64((1 << FREQUENCY_BITS) - vocabulary) << 36) // total
        running = np.int64(0)
        row, out = weights[r, first:after], cumulative[r, first + 1 : after + 1]
        for v in range(row.size):
            running += ((np.int64(row[v]) * inverse) >> 36) + 1
            out[v] = running
        sums[r] = running


@compiled
def move_up(cumulative, first, after, sums):
    """Add the sums int64 ``[rows]`` of the tokens before ``first`` to what :func:`add_up_frequencies` wrote."""
    for r in range(cumulative.shape[0]):
        before = np.int32(sums[r])
        row = cumulative[r, first + 1 : after + 1]
        for v in range(row.size):
            row[v] += before
