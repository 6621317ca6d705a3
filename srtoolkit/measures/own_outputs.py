"""B's own output, in B's own context: what the far end of a path, ``F_pA(B)``, is not."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from srtoolkit.measures.walk import Batch, Walk
from srtoolkit.patching.patch import patch
from srtoolkit.prompts.pairs import by_length


def check_end(walk: Walk) -> None:
    """Refuse to compare with B's own output where no path goes to B.

    Args:
        walk: The paths that are to be measured.

    Raises:
        ValueError: The path does not end at B.
    """
    end = walk.points_on(walk.a, walk.b, torch.ones(1))[:, 0].to(walk.b)
    if not bool(((end - walk.b).norm(dim=-1) <= 1e-3 * walk.b.norm(dim=-1)).all()):
        raise ValueError(
            f"own_b=True compares with B's own output, but path={walk.path!r} does not end at B; leave own_b out, or "
            "take a path that does, such as 'linear'."
        )


def own_outputs(walk: Walk, batch: Batch, reads: tuple[str, ...]) -> list[dict[str, Float[Tensor, "1 _width"]]]:
    """Outputs of each prompt B of a batch by itself, ``F_pB(B)``: one point a pair, patched into its own context.

    Args:
        walk: The paths that are measured.
        batch: Some of them.
        reads: Outputs to read.
    """
    wanted = tuple("logprobs" if read == "logits" else read for read in reads)
    own: dict[int, dict[str, Tensor]] = {}
    for places, context in by_length([walk.pairs.tokens_b[row] for row in batch.rows]):
        points = walk.b[[batch.rows[place] for place in places]][:, None]
        found = patch(
            walk.model, context, points, layer=walk.layer, position=walk.position, reads=wanted, method="full"
        )
        own |= {place: {read: value[row] for read, value in found.items()} for row, place in enumerate(places)}
    return [own[place] for place in range(len(batch.rows))]
