"""The plan of a reproduction: what has to be measured, what is measured already, and what the rest costs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from srtoolkit.costs.estimate import estimate_cost
from srtoolkit.reproduction.measurements import work_of
from srtoolkit.reproduction.running import Job, Outcome, jobs_of


def list_figures(outcomes: Sequence[Outcome], output: Path) -> pd.DataFrame:
    """A table with one row for each figure: what it shows, its models, and how many measurements are there already.

    Args:
        outcomes: From :func:`srtoolkit.reproduction.running.prepare`.
        output: Folder of the reproduction.
    """
    rows = []
    for outcome in outcomes:
        jobs = jobs_of([outcome])
        there = sum(job.done(output) for job in jobs)
        models = ", ".join(dict.fromkeys(job.role.name for job in jobs))
        rows.append((outcome.figure.name, outcome.figure.title, models, len(jobs), there, outcome.error))
    return pd.DataFrame(rows, columns=["figure", "shows", "models", "measurements", "there", "error"])


def missing_jobs(outcomes: Sequence[Outcome], output: Path) -> list[Job]:
    """The missing measurements, in the order in which they would be made.

    Args:
        outcomes: From :func:`srtoolkit.reproduction.running.prepare`.
        output: Folder of the reproduction.
    """
    return [job for job in jobs_of(outcomes) if not job.done(output)]


def estimate(jobs: Sequence[Job], calibrate: float = 10.0) -> pd.DataFrame:
    """The cost of measurements on this machine: one row for each kind of measurement on one model, then the total.

    Args:
        jobs: One or more measurements.
        calibrate: Seconds to spend on measuring this machine.
    """
    costs = estimate_cost([work_of(job.measurement, job.role) for job in jobs], calibrate=calibrate).reset_index()
    each, total = costs.iloc[:-1].assign(what=[job.measurement.words for job in jobs]), costs.iloc[-1]
    sums = ["forward_tokens", "flops", "download_bytes", "seconds"]
    rows = each.groupby(["what", "model"], sort=False).agg(
        {"call": "size", "peak_bytes": "max", **dict.fromkeys(sums, "sum")}
    )
    rows = rows.rename(columns={"call": "times"}).reset_index()
    last = {"what": "total", "model": "", "times": len(jobs), "peak_bytes": total["peak_bytes"]}
    return pd.concat([rows, pd.DataFrame([last | {name: total[name] for name in sums}])], ignore_index=True)
