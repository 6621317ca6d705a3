"""How far the output has moved: each measure compares points of a path with the path's two ends.

The first two points are always the ends, A and B; every function returns one value for each point, the ends included.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

#: Largest number below 1 that float32 holds.
_NEARLY_ONE = 1 - 2**-24

#: Tokens of the vocabulary at a time on a CPU: few enough for what a curve's points need between two steps of
#: arithmetic to stay in a core's cache, which makes it 2.4 times as fast.
_AT_ONCE = 2048


def l2_from_first(outputs: Float[Tensor, "point width"]) -> Float[Tensor, " point"]:
    """L2 distance of every output from the first, ``d(alpha)``, in the read point's units; Section 3 of the paper.

    Args:
        outputs: Outputs at each point.
    """
    return (outputs - outputs[:1]).norm(dim=-1)


def l2_from_second(outputs: Float[Tensor, "point width"]) -> Float[Tensor, " point"]:
    """L2 distance of every output from the second, the far end of the path, in the read point's units.

    Args:
        outputs: Outputs at each point.
    """
    return (outputs - outputs[1:2]).norm(dim=-1)


def hellinger(
    first: Float[Tensor, "#point d_vocab"], second: Float[Tensor, "#point d_vocab"]
) -> Float[Tensor, " point"]:
    """Hellinger distance of next-token distributions, row by row, from 0 to 1.

    It is the L2 distance between square roots of probabilities over the square root of 2, so lengths of paths of
    predictions can be measured with it.

    Args:
        first: Square roots of the next token's probabilities at each point, which several distances share.
        second: Square roots of the probabilities to compare them with.
    """
    return (first - second).norm(dim=-1) / math.sqrt(2)


def hellinger_from_ends(roots: Float[Tensor, "point d_vocab"]) -> Float[Tensor, "2 point"]:
    """Hellinger distance of every next-token distribution from the first, and from the second, from 0 to 1.

    Args:
        roots: Square roots of the next token's probabilities at each point.
    """
    # Differences, and not products of rows, which would lose what two near distributions differ by.
    return torch.cdist(roots[:2], roots, compute_mode="donot_use_mm_for_euclid_dist") / math.sqrt(2)


def kl_from_first(logprobs: Float[Tensor, "point d_vocab"]) -> Float[Tensor, " point"]:
    """Kullback-Leibler divergence KL(first || point) of next-token distributions, in nats.

    Args:
        logprobs: Log-probabilities of the next token at each point.
    """
    first = logprobs[0]
    weight = first.exp()
    # sum p (log p - log q), as one product with all points; rounding can leave a tiny negative number.
    return ((weight * first).sum() - logprobs @ weight).clamp_min(0)


def jsd_from_first(logprobs: Float[Tensor, "point d_vocab"]) -> Float[Tensor, " point"]:
    """Jensen-Shannon divergence of next-token distributions from the first, in nats, from 0 to log 2.

    Args:
        logprobs: Log-probabilities of the next token at each point.
    """
    return jsd_between(logprobs[:1], logprobs)


def jsd_between(
    first: Float[Tensor, "#point d_vocab"], second: Float[Tensor, "#point d_vocab"]
) -> Float[Tensor, " point"]:
    """Jensen-Shannon divergence between next-token distributions, row by row, in nats, from 0 to log 2.

    Args:
        first: Log-probabilities of the next token at each point.
        second: Log-probabilities to compare them with.
    """
    return jsd_of(first.exp(), second.exp())


def jsd_of(p: Float[Tensor, "#point d_vocab"], q: Float[Tensor, "#point d_vocab"]) -> Float[Tensor, " point"]:
    """Jensen-Shannon divergence between distributions, row by row, in nats, from 0 to log 2.

    With ``t = (q - p) / (q + p)``, every token adds ``(p + q) / 4`` times ``(1 + t) log(1 + t) + (1 - t) log(1 - t)``,
    which is never negative. A difference of entropies would lose what two neighbours on a path differ by.

    Args:
        p: Probabilities of the next token at each point.
        q: Probabilities to compare them with.
    """
    width = _AT_ONCE if p.device.type == "cpu" else p.shape[-1]
    parts = zip(p.split(width, dim=-1), q.split(width, dim=-1), strict=True)
    return (torch.stack([_jsd_of_some(*some) for some in parts]).sum(0) / 4).clamp(0, math.log(2))


def _jsd_of_some(p: Float[Tensor, "#point d_vocab"], q: Float[Tensor, "#point d_vocab"]) -> Float[Tensor, " point"]:
    """What some tokens of the vocabulary add to four times the divergence."""
    both = p + q
    share = (q - p).div_(both.clamp_min(torch.finfo(both.dtype).tiny))
    share.clamp_(-_NEARLY_ONE, _NEARLY_ONE)  # a logarithm of 0 is none
    of_q, of_p = share.log1p().mul_(1 + share), share.neg().log1p_().mul_(1 - share)
    return of_q.add_(of_p).mul_(both).sum(dim=-1)


def logit_difference(logprobs: Float[Tensor, "point d_vocab"]) -> Float[Tensor, " point"]:
    """Share of the way that the logit difference between the ends' top tokens has gone: 0 at A, 1 at B.

    With ``ld = logit[top token at A] - logit[top token at B]``, this is ``1 - (ld - ld_B) / (ld_A - ld_B)``, the
    paper's Fig. 2c. NaN where both ends predict the same token. Log-probabilities serve as well as logits: their shift
    cancels.

    Args:
        logprobs: Log-probabilities of the next token at each point.
    """
    top_a, top_b = logprobs[0].argmax(), logprobs[1].argmax()
    difference = logprobs[:, top_a] - logprobs[:, top_b]
    return (difference[0] - difference) / (difference[0] - difference[1])
