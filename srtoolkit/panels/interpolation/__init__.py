"""The panel of one pair, or of random pairs: the curve from A to B."""
