"""The models that srtoolkit knows by name."""

from __future__ import annotations

import pandas as pd

from srtoolkit.models.sources import known_sources


def available_models() -> pd.DataFrame:
    """A table of the packaged models and those of the paper; any other Hugging Face id loads as well.

    Returns:
        One row for each model: ``name``, ``family``, ``parameters`` (their number), ``revisions``, ``source``, and
        ``works_offline`` (whether it loads without a network, on this machine as it is now).
    """
    rows = [
        {
            "name": source.name,
            "family": source.family,
            "parameters": source.parameters,
            "revisions": source.revisions(),
            "source": source.origin,
            "works_offline": source.works_offline(),
        }
        for source in known_sources()
    ]
    return pd.DataFrame(rows)
