"""Measuring what figures need, one model at a time, and making each figure as soon as it can be; resumes by itself."""

from __future__ import annotations

import gc
import hashlib
import io
import logging
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import matplotlib.pyplot as plt
import pandas as pd
import xarray as xr

from srtoolkit import results
from srtoolkit.files import disk
from srtoolkit.models.loading import load_model
from srtoolkit.models.model import Model
from srtoolkit.models.sources import announce, borrowed
from srtoolkit.profiles import Profile
from srtoolkit.reproduction.casting import Role
from srtoolkit.reproduction.comparing import as_table
from srtoolkit.reproduction.figure import Figure, Made
from srtoolkit.reproduction.measurements import Measurement, Need
from srtoolkit.sweeps.sweep import sweep
from srtoolkit.version import __version__

logger = logging.getLogger(__name__)

Say = Callable[[str], None]


@dataclass
class Outcome:
    """What became of one figure.

    Attributes:
        figure: Which.
        needs: What it needs, once that is known.
        state: ``"waiting"``, ``"made"`` or ``"failed"``.
        error: Why it failed.
        table: Ours beside the paper's, once it is made.
        note: How it was measured.
    """

    figure: Figure
    needs: dict[str, Need] = field(default_factory=dict)
    state: str = "waiting"
    error: str = ""
    table: pd.DataFrame | None = None
    note: str = ""

    def fail(self, error: str) -> None:
        """Record a failure.

        Args:
            error: In a line.
        """
        self.state, self.error = "failed", error


@dataclass(frozen=True)
class Job:
    """One measurement on one model.

    Attributes:
        measurement: What is measured.
        role: On which model.
    """

    measurement: Measurement
    role: Role

    @property
    def name(self) -> tuple[str, str]:
        """What no other job has."""
        return self.measurement.key, self.role.label

    def done(self, output: Path) -> bool:
        """Whether it lies in the store.

        Args:
            output: Folder of the reproduction.
        """
        return self.measurement.store(output).file(self.role.label).exists()


def prepare(figures: Sequence[Figure], profile: Profile) -> list[Outcome]:
    """What each figure needs; a figure whose models cannot be found fails here.

    Args:
        figures: Which.
        profile: How much to measure, and on what.
    """
    outcomes = [Outcome(figure) for figure in figures]
    for outcome in outcomes:
        try:
            outcome.needs = outcome.figure.needs(profile)
        except Exception as error:  # no hub, no such model: the other figures go on
            outcome.fail(_in_a_line(error))
    return outcomes


def jobs_of(outcomes: Sequence[Outcome]) -> list[Job]:
    """Every measurement that the figures need, each once, those of one model together.

    Args:
        outcomes: From :func:`prepare`.
    """
    jobs = {
        (job := Job(need.measurement, role)).name: job
        for outcome in outcomes
        for need in outcome.needs.values()
        for role in need.roles
    }
    order = {label: place for place, label in enumerate(dict.fromkeys(job.role.label for job in jobs.values()))}
    return sorted(jobs.values(), key=lambda job: order[job.role.label])


def reproduce(figures: Sequence[Figure], profile: Profile, output: Path, say: Say = logger.info) -> list[Outcome]:
    """Measure what is missing, and write each figure's picture, numbers and comparison.

    A measurement is written whole or not at all, so that after any end of the process the next call measures only what
    is missing. What other settings or another version made lies under other names and is not used.

    Args:
        figures: Which, as :func:`srtoolkit.reproduction.figures.find_figures` gives them.
        profile: How much to measure, and on what.
        output: Folder of the results; made if need be.
        say: Takes a line about what has been done.

    Returns:
        What became of each figure, in their order.
    """
    output.mkdir(parents=True, exist_ok=True)
    disk.remove_scratch(output)
    outcomes = prepare(figures, profile)
    errors: dict[tuple[str, str], str] = {}
    jobs = jobs_of(outcomes)
    for measurement in {job.measurement.key: job.measurement for job in jobs}.values():
        try:
            measurement.store(output).claim(measurement.measure)
        except (ValueError, OSError) as error:
            errors |= {job.name: _in_a_line(error) for job in jobs if job.measurement.key == measurement.key}
    waiting = [job for job in jobs if job.name not in errors and not job.done(output)]
    announce({(job.role.name, job.role.revision): None for job in waiting})
    _make_what_can_be(outcomes, profile, output, errors, say)
    for label in dict.fromkeys(job.role.label for job in waiting):
        errors |= _measure([job for job in waiting if job.role.label == label], output, say)
        _make_what_can_be(outcomes, profile, output, errors, say)
    return outcomes


def settings_of(figure: Figure, needs: dict[str, Need], profile: Profile) -> str:
    """Sixteen hexadecimal digits that a figure made of other measurements, models or by another version does not have.

    Args:
        figure: Which.
        needs: What it needs.
        profile: How much was measured.
    """
    said = [(name, need.measurement.key, [role.label for role in need.roles]) for name, need in needs.items()]
    return hashlib.sha256(f"{__version__} {figure.key} {profile!r} {said!r}".encode()).hexdigest()[:16]


def _measure(jobs: Sequence[Job], output: Path, say: Say) -> dict[tuple[str, str], str]:
    """All that one model is to be measured for, with what went wrong. A downloaded model is dropped again."""
    role = jobs[0].role
    try:
        with borrowed(role.name, role.revision, keep=False):
            start = time.monotonic()
            model = load_model(**role.member)
            say(f"{role.label}: loaded in {time.monotonic() - start:.0f} s")
            errors = {job.name: error for job in jobs if (error := _measure_one(job, model, output, say))}
            del model  # before what is left of it is collected
            return errors
    except Exception as error:  # whatever a model fails to load with, the other models go on
        say(f"{role.label}: FAILED: {_in_a_line(error)}")
        return {job.name: _in_a_line(error) for job in jobs}
    finally:
        gc.collect()  # a failed trace leaves cycles that hold the model


def _measure_one(job: Job, model: Model, output: Path, say: Say) -> str:
    """One measurement, written to its store; why it failed, or nothing."""
    store, start = job.measurement.store(output), time.monotonic()
    report = store.file(job.role.label).with_suffix(".error.txt")
    with store.alone(job.role.label):
        if job.done(output):  # another process was faster
            return ""
        try:
            found = job.measurement.measure(model)
            found = found.assign_attrs(model.provenance(), parameters=model.n_parameters)
            results.save(found, store.file(job.role.label))
        except Exception as error:  # whatever a measurement fails with, the others go on
            disk.write_text(report, traceback.format_exc())
            say(f"{job.role.label}: {job.measurement.name} FAILED: {_in_a_line(error)}")
            return f"{job.measurement.name} of {job.role.label}: {_in_a_line(error)}"
    report.unlink(missing_ok=True)
    took = time.monotonic() - start
    say(f"{job.role.label}: {job.measurement.name} measured in {took:.0f} s ({job.measurement.words})")
    return ""


def _make_what_can_be(
    outcomes: Sequence[Outcome], profile: Profile, output: Path, errors: dict[tuple[str, str], str], say: Say
) -> None:
    """Every figure that is still waiting and whose measurements are all there, or one of which failed."""
    for outcome in (outcome for outcome in outcomes if outcome.state == "waiting"):
        jobs = jobs_of([outcome])
        failed = [errors[job.name] for job in jobs if job.name in errors]
        if failed:
            outcome.fail(failed[0])
        elif all(job.done(output) for job in jobs):
            try:
                _make(outcome, profile, output)
            except Exception as error:  # whatever a figure fails with, the others go on
                logger.debug("%s failed", outcome.figure.name, exc_info=True)
                outcome.fail(_in_a_line(error))
        else:
            continue
        say(f"{outcome.figure.name}: {outcome.state}{f': {outcome.error}' if outcome.error else ''}")


def _make(outcome: Outcome, profile: Profile, output: Path) -> None:
    """Draw one figure and write its picture, comparison and numbers, the latter last: they say that all is there."""
    found = {name: _join(need, output) for name, need in outcome.needs.items()}
    made = outcome.figure.make(profile, found)
    stem = output / outcome.figure.stem
    outcome.table, outcome.note = as_table(made.rows), made.note
    _write_picture(made, stem.with_suffix(".png"))
    disk.write_text(stem.with_suffix(".csv"), outcome.table.to_csv(index=False))
    about = {"figure": outcome.figure.name, "title": outcome.figure.title, "note": made.note, "profile": profile.name}
    marked = made.numbers.assign_attrs(about, made_of=settings_of(outcome.figure, outcome.needs, profile))
    results.save(marked, stem.with_suffix(".nc"))
    outcome.state = "made"


def _join(need: Need, output: Path) -> xr.Dataset:
    """A measurement on all its models, read from the store; refuses the same weights under two names."""
    store = need.measurement.store(output)
    return sweep([role.member for role in need.roles], need.measurement.measure, store=store.folder)


def _write_picture(made: Made, path: Path) -> None:
    """The picture as a file that is there whole or not at all."""
    drawn = io.BytesIO()
    made.picture.savefig(drawn, dpi=150, format="png")
    plt.close(made.picture)
    disk.write_whole(path, drawn.getvalue(), "take another --output")


def _in_a_line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:500]}"
