"""What to know of paths before their shape is read as a finding: two ends that are almost one place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor

from srtoolkit.prompts.pairs import PromptPairs

#: Ends nearer than this share of A's length lie side by side: a path so short is often straight, whatever is there.
CLOSE = 0.05

#: Ends that lie at least this far apart, in A's length, are not close, whatever their last tokens.
FAR = 1.0

#: Pairs that a note names.
_NAMED = 5


def note_of(pairs: PromptPairs, layer: int, a: Float[Tensor, "pair d_model"], b: Float[Tensor, "pair d_model"]) -> str:
    """Why some paths may be straight without that meaning anything, in words; empty where no path gives reason.

    After an early block an activation is mostly that of its own token. Prompts that end in the same token, as all
    that end in a chat template's do, have ends close together there.

    Args:
        pairs: The pairs of prompts.
        layer: Block after which points are put in.
        a: Activations of the prompts A.
        b: Activations of the prompts B.
    """
    share = ((b - a).norm(dim=-1) / a.norm(dim=-1)).double().cpu().numpy()
    alike = np.array(pairs.same_last_token) & (share < FAR)
    near = ~alike & (share < CLOSE)
    said = []
    if alike.any():
        said.append(
            f"{_counted(pairs.labels, alike)} end in the same token. After block {layer}, B is only "
            f"{np.median(share[alike]):.0%} of A's length away in their median, so such a path is short and often "
            "straight. Choose other last words, or a deeper block."
        )
    if near.any():
        said.append(
            f"{_counted(pairs.labels, near)} have ends within {CLOSE:.0%} of A's length after block {layer}. Such a "
            "path is often straight. Choose prompts that differ more, or a deeper block."
        )
    return " ".join(said)


def _counted(labels: Sequence[str], which: np.ndarray) -> str:
    names = [label for label, one in zip(labels, which, strict=True) if one]
    more = ", …" if len(names) > _NAMED else ""
    return f"{len(names)} of {len(labels)} pairs ({', '.join(names[:_NAMED])}{more})"
