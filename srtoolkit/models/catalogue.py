"""The models that have a name of their own."""

from __future__ import annotations

from typing import Any

import pandas as pd
import transformers

from srtoolkit import reference
from srtoolkit.models import smollm2
from srtoolkit.suite import shipped
from srtoolkit.suite.configuration import configuration
from srtoolkit.suite.configuration import names as suite_names


def available_models() -> pd.DataFrame:
    """The models with a name of their own: packaged ones, and those of the paper; any Hugging Face id loads as well.

    Returns:
        One row a model: ``name``, ``family``, ``parameters``, ``revisions``, ``source``, ``works_offline`` (now, on
        this machine).
    """
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "family": "SmolLM2",
            "parameters": spec.parameters,
            "revisions": [],
            "source": f"PyPI wheel {spec.requirement}",
            "works_offline": smollm2.is_cached(name),
        }
        for name, spec in smollm2.PACKAGED.items()
    ]
    rows += [
        {
            "name": name,
            "family": "nano",
            "parameters": configuration(name).parameters,
            "revisions": shipped.revisions(name),
            "source": "trained by srtoolkit, in the package",
            "works_offline": True,
        }
        for name in suite_names()
    ]
    for label, spec in reference.janiak2024()["models"].items():
        cached = transformers.utils.hub.cached_file(
            spec["hf"],
            "config.json",
            local_files_only=True,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
        rows.append(
            {
                "name": spec["hf"],
                "family": label.split("-")[0],
                "parameters": int(spec["params_b"] * 1e9),
                "revisions": ["main"],
                "source": "Hugging Face hub (Janiak et al. 2024)",
                "works_offline": cached is not None,
            }
        )
    return pd.DataFrame(rows)
