"""Modules that have moved: importing one from where it was says where it is, and gives the same objects."""

from __future__ import annotations

import subprocess
import sys

import pytest


def fresh(code, action):
    """What a process that has imported nothing prints, and what it warns of."""
    command = [sys.executable, "-W", f"{action}::DeprecationWarning", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.splitlines(), done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("former", "place", "names"),
    [
        ("srtoolkit.paths", "srtoolkit.measures.paths", ["linear", "random_direction"]),
        ("srtoolkit.panels.slice_predictions", "srtoolkit", ["slice_predictions", "line_on_plane"]),
    ],
)
def test_a_former_place_warns_once_and_has_the_same_functions(former, place, names):
    pairs = [f"(former.{name}, {place}.{name})" for name in names]
    code = (
        f"import {former} as former\nimport {place}\nfor one, other in [{', '.join(pairs)}]:\n    print(one is other)"
    )
    same, warned = fresh(code, "always")
    assert same == ["True"] * len(names), warned
    assert warned.count(f"DeprecationWarning: The module {former} is ") == 1
    assert place in warned.partition(" is ")[2]


@pytest.mark.slow
def test_public_names_that_have_moved_do_not_warn():
    code = (
        "import srtoolkit as srt\nfrom srtoolkit.measures import paths, slice_predictions\nprint(srt.paths is paths)"
        "\nfor name in ('slice_predictions', 'line_on_plane'):"
        "\n    print(getattr(srt, name) is getattr(slice_predictions, name))"
    )
    assert fresh(code, "error") == (["True"] * 3, "")


@pytest.mark.slow
def test_the_attribute_is_the_same_module_after_its_former_place_was_imported():
    code = "import srtoolkit.paths\nfrom srtoolkit.measures import paths\nprint(srtoolkit.paths is paths)"
    assert fresh(code, "ignore") == (["True"], "")
