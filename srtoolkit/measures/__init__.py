"""Whatever runs a model over prompts: curves, slices, gate flips, predictions, noise."""
