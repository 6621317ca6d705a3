"""Datasets in, Datasets out: sharpness, intervals, matching, regions, verdicts. Knows no model and no torch."""
