"""The outputs that measures on a path or a ray are made of: which there are, and what their measures are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from srtoolkit.analysis.curves import OF_A_BLOCK, suffix_of
from srtoolkit.models.checks import check_layer, check_model
from srtoolkit.models.model import Model
from srtoolkit.patching.reads import check_reads
from srtoolkit.validation import check_names, listed

#: Read points beside those of single blocks.
READS = ("final_norm", "resid", "logits")


def vectors(reads: Iterable[str]) -> dict[str, str]:
    """What the names of measures end in, for each read point whose output is a vector and no prediction.

    Args:
        reads: Read points.
    """
    return {read: suffix_of(read) for read in reads if read not in ("logits", "logprobs")}


def check_outputs(model: Model, reads: str | Sequence[str], layer: int) -> tuple[str, ...]:
    """Names of the outputs to measure, after a check that the model has them behind the patch.

    Args:
        model: From :func:`srtoolkit.load_model`.
        reads: Names of read points.
        layer: Block whose output is replaced.

    Raises:
        ValueError: A read point is unknown or stands twice, its block does not exist, has no such part, or comes before
            the patch.
    """
    given = (reads,) if isinstance(reads, str) else listed(reads) or ()
    of_blocks = [read for read in given if isinstance(read, str) and read not in READS and OF_A_BLOCK.fullmatch(read)]
    found = check_names(reads, dict.fromkeys((*READS, *of_blocks)), "reads")
    if of_blocks:
        check_reads(check_model(model), of_blocks, check_layer(model, layer))
    return found


def with_blocks(names: Mapping[str, str], reads: Iterable[str]) -> dict[str, str]:
    """What measures are, in words, those of single blocks among them.

    Args:
        names: By the measure's name; those that end in ``_resid`` are said of single blocks, too.
        reads: Read points.
    """
    return dict(names) | {
        f"{name.removesuffix('_resid')}{suffix}": said.replace("before the final norm", f"at {read}")
        for read, suffix in vectors(reads).items()
        if read not in READS
        for name, said in names.items()
        if name.endswith("_resid")
    }
