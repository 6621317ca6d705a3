"""The least time the work could take: the floating-point operations it needs, at the rate of a plain matrix product.

Needed are, whatever the way: the prefix of each context once (of its last block only the keys and values), and every
point through the blocks behind the patch. Norms, rotations and nonlinearities count as nothing, and so does moving
data, so that nobody reaches 100%.
"""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import torch

#: Rows of the products whose rate is measured; the fastest counts.
ROWS = (512, 1024, 2048, 4096)
GPU_ROWS = (4096, 16384)


class Flops(NamedTuple):
    """Floating-point operations in matrix products.

    Attributes:
        linear: With the weights.
        attention: Of queries with keys, and of attention with values.
    """

    linear: float
    attention: float

    @property
    def total(self) -> float:
        """Both."""
        return self.linear + self.attention


def needed(config: Any, contexts: int, tokens: int, points: int, layer: int, *, gates: bool = False) -> Flops:
    """What ``points`` points in each of some contexts of ``tokens`` tokens need at least.

    Args:
        config: Of a Llama-like model of transformers.
        contexts: Number of different prompts.
        tokens: Tokens of each.
        points: Points put into each.
        layer: Block whose output is replaced.
        gates: Only gate pre-activations are read, so that the last block ends at its gates.
    """
    width, inner = config.hidden_size, config.intermediate_size
    head = getattr(config, "head_dim", None) or width // config.num_attention_heads
    queries, keys = config.num_attention_heads * head, config.num_key_value_heads * head
    block = 2 * (2 * width * queries + 2 * width * keys + 3 * width * inner)
    behind, prefix = config.num_hidden_layers - layer - 1, tokens - 1
    saved = 2 * 2 * width * inner if gates else 0
    linear = contexts * points * (behind * block - saved)
    attention = contexts * points * behind * 4 * queries * tokens
    through = config.num_hidden_layers - 1
    linear += contexts * prefix * (through * block + 2 * 2 * width * keys)
    attention += contexts * through * 4 * queries * prefix * (prefix + 1) / 2
    return Flops(float(linear), float(attention))


class MatrixProducts:
    """The matrix products of one block, on many rows: how fast this machine is right now, in FLOP/s."""

    def __init__(self, hf: Any) -> None:
        block = hf.model.layers[len(hf.model.layers) // 2]
        attention, mlp = block.self_attn, block.mlp
        maps = (attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj)
        weights = [part.weight.detach() for part in (*maps, mlp.gate_proj, mlp.up_proj, mlp.down_proj)]
        self.weights, self.device = weights, weights[0].device
        self.rows = GPU_ROWS if weights[0].is_cuda else ROWS
        self.flops = {rows: sum(2.0 * rows * w.numel() for w in weights) for rows in self.rows}

    @torch.no_grad()
    def rate(self) -> float:
        """FLOP/s at the number of rows that is fastest just now."""
        return max(self.flops[rows] / self._seconds(rows) for rows in self.rows)

    def _seconds(self, rows: int) -> float:
        here = {"device": self.device}
        products = [
            (torch.randn(rows, w.shape[1], **here), w.T, torch.empty(rows, w.shape[0], **here)) for w in self.weights
        ]
        start = now()
        for left, right, out in products:
            torch.mm(left, right, out=out)
        return now() - start


def now() -> float:
    """Seconds by the clock, when all that was given to a GPU is done."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    return time.perf_counter()
