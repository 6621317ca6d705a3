"""Two series of runs that differ in size and seed only, on which the claims about size and about training are tested.

In all of them, the learning rate is 0.08 over the width. The first series differs in size: the tokens and their order
are the same, and a run's seed draws its initial weights only. The second has one size: a run's seed draws the order of
the data as well. ``reference/criteria/size.json`` and ``sharpen-runs.json`` say what is measured on them, and were
written before the first run of either was trained.
"""

from __future__ import annotations

from dataclasses import replace

from srtoolkit.suite.sizes import Configuration, sizes

#: Seeds of the runs of each size. None of them was used before.
SEEDS = {
    "nano-0.4m": (11, 12, 13),
    "nano-0.7m": (11, 12, 13),
    "nano-1m": (11, 12, 13),
    "nano-1m-deep": (11, 12),
    "nano-3m": (11, 12),
    "nano-6m": (11, 12),
}

#: Sizes whose runs the package does not carry: it is to stay small, and depth is reported without a verdict.
NOT_CARRIED = ("nano-1m-deep",)

#: Seed of the order of the data, for every run that is to differ in size.
ORDER = 11

#: Of the second series: its size, its seeds, and the steps that the package carries.
TRAINED, TRAINED_SEEDS, TRAINED_STEPS = "nano-1m", (21, 22, 23, 24), (600, 2400)


def runs() -> list[Configuration]:
    """The configuration of every run of the first series, the quickest to train first."""
    found = [_run(size, seed) for size, seeds in SEEDS.items() for seed in seeds]
    return sorted(found, key=lambda run: run.parameters * run.blocks)


def training_runs() -> list[Configuration]:
    """The configuration of every run of the second series."""
    like = _size(TRAINED)
    return [
        replace(like, name=_name(TRAINED, seed), seed=seed, order_seed=seed, shipped=TRAINED_STEPS)
        for seed in TRAINED_SEEDS
    ]


def names_by_size() -> dict[str, list[str]]:
    """Names of the runs of the first series that the package carries, by size, the smallest first."""
    return {size: [_name(size, seed) for seed in SEEDS[size]] for size in SEEDS if size not in NOT_CARRIED}


def first_run(size: str) -> str | None:
    """Name of the first run of a size; ``None`` where the first series has none.

    Args:
        size: Name of the size, such as ``"nano-3m"``.
    """
    return _name(size, SEEDS[size][0]) if size in SEEDS else None


def _name(size: str, seed: int) -> str:
    return f"{size}-run{seed}"


def _run(size: str, seed: int) -> Configuration:
    like = _size(size)
    kept = () if size in NOT_CARRIED else (like.steps,)
    return replace(like, name=_name(size, seed), seed=seed, order_seed=ORDER, shipped=kept)


def _size(name: str) -> Configuration:
    return next(one for one in sizes() if one.name == name)
