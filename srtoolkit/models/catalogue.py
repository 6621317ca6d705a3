"""The models that have a name of their own."""

from __future__ import annotations

import pandas as pd

from srtoolkit.models.sources import known_sources


def available_models() -> pd.DataFrame:
    """The models with a name of their own: packaged ones, and those of the paper; any Hugging Face id loads as well.

    Returns:
        One row a model: ``name``, ``family``, ``parameters``, ``revisions``, ``source``, ``works_offline`` (now, on
        this machine).
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
