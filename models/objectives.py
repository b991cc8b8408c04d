"""Training objectives that know each token's entropy: each is a weight on the token's cross-entropy."""

from __future__ import annotations

import math

import torch
from torch import Tensor

CROSS_ENTROPY = "cross-entropy"
MILE = "mile"
OBJECTIVES = (CROSS_ENTROPY, "weighted", "distance", "threshold", MILE)
DROPPED_ABOVE = 0.6
"""``threshold`` drops tokens whose entropy is above this share of that of a uniform distribution."""
MILE_EXPONENT = 1.0


def needs_estimates(objective: str) -> bool:
    return objective not in (CROSS_ENTROPY, MILE)


def token_weights(
    objective: str, losses: Tensor, entropies: Tensor, estimates: Tensor | None, vocabulary: int
) -> Tensor:
    """Weight of each token's gradient ``[tokens]``.

    Args:
        losses: cross-entropy in nats ``[tokens]``.
        entropies: of the predicted distributions in nats ``[tokens]``.
        estimates: of the tokens' entropies in nats ``[tokens]``, from an encoder-augmented model.

    ``weighted``: ``(1 - e) L`` with e a share of ``log V``; ``distance``: ``|L - e|``; ``threshold``: tokens above
    :data:`DROPPED_ABOVE` dropped (these three: arXiv 2511.10618); ``mile``: ``(1 + H)^gamma L`` (arXiv 2310.19531).
    """
    if objective == CROSS_ENTROPY:
        return torch.ones_like(losses)
    if objective == MILE:
        weights = (1 + entropies) ** MILE_EXPONENT
        return weights / weights.mean()
    if estimates is None:
        raise ValueError(f"objective {objective!r} needs entropy estimates")
    share = estimates / math.log(vocabulary)
    if objective == "weighted":
        return 1 - share.clamp(0, 1)
    if objective == "distance":
        return torch.sign(losses - estimates)
    if objective == "threshold":
        return (share <= DROPPED_ABOVE).to(losses.dtype)
    raise ValueError(f"objective must be one of {', '.join(OBJECTIVES)}, not {objective!r}")
