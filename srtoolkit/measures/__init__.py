"""Whatever runs a model over prompts: curves, slices, gate flips, predictions, noise."""

import lazy_loader as lazy

# These modules are public as srtoolkit.directions and srtoolkit.paths, and load on first use as all public names do.
__getattr__, __dir__, _ = lazy.attach(__name__, submodules=["directions", "paths"])
