"""Properties run as a user's own calls would: no type checks but the library's, and every warning is an error."""

from __future__ import annotations

from pathlib import Path

import jaxtyping
import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from oracles import EXPLORE

mpl.use("agg")
HERE = Path(__file__).parent


@pytest.fixture(autouse=True, scope="module")
def unchecked():
    """Without the type checks that run in tests only: a user meets the library's own."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
    plt.close("all")


def pytest_collection_modifyitems(items):
    """Count the cases that really run, and stop at every warning."""
    for item in items:
        if not item.path.is_relative_to(HERE):
            continue
        # pytest applies the last first: nnsight says so of traces that an error has ended.
        item.add_marker(pytest.mark.filterwarnings("ignore:An intervention block raised"))
        item.add_marker(pytest.mark.filterwarnings("error"))
        if hasattr(item.obj, "hypothesis"):
            item.ran = 0
            item.obj.hypothesis.inner_test = _counted(item, item.obj.hypothesis.inner_test)


def _counted(item, run):
    def counted(*arguments, **drawn):
        run(*arguments, **drawn)
        item.ran += 1

    return counted


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    result = yield
    if hasattr(item, "ran") and not EXPLORE:
        (wanted,) = item.get_closest_marker("cases").args
        assert item.ran >= wanted, f"{item.ran} of {wanted} cases ran"
    return result
