"""A series of runs that differ in size and seed only, on which the claim about size is tested.

In all of them, the learning rate is 0.08 over the width, and the tokens and their order are the same; a run's seed
draws its initial weights only. ``reference/criteria/size.json`` says what is measured on them, and was written before
the first of them was trained.
"""

from __future__ import annotations

from dataclasses import replace

from srtoolkit.suite.configuration import Configuration, configuration

#: Seeds of the runs of each size. None of them was used before.
SEEDS = {
    "nano-0.4m": (11, 12, 13),
    "nano-0.7m": (11, 12, 13),
    "nano-1m": (11, 12, 13),
    "nano-1m-deep": (11, 12),
    "nano-3m": (11, 12),
    "nano-6m": (11, 12),
}

#: Seed of the order of the data, for every run.
ORDER = 11


def runs() -> list[Configuration]:
    """The configuration of every run, the quickest to train first."""
    found = [_run(size, seed) for size, seeds in SEEDS.items() for seed in seeds]
    return sorted(found, key=lambda run: run.parameters * run.blocks)


def _run(size: str, seed: int) -> Configuration:
    like = configuration(size)
    return replace(like, name=f"{size}-run{seed}", seed=seed, order_seed=ORDER, shipped=(like.steps,))
