"""Whatever runs a model over prompts: curves, slices, gate flips, predictions, noise."""

import lazy_loader as lazy

# srtoolkit.paths is this room's module, loaded on first use as every public name is.
__getattr__, __dir__, _ = lazy.attach(__name__, submodules=["paths"])
