"""The paper's settings and numbers, the notebooks' profiles, verdicts."""

from __future__ import annotations

import inspect

import pytest

import srtoolkit as srt
from srtoolkit.analysis.verdicts import MIME


def test_every_setting_of_the_preset_is_one_that_its_call_takes():
    for call, settings in srt.preset("janiak2024").items():
        assert set(settings) <= set(inspect.signature(getattr(srt, call)).parameters), call


def test_a_preset_is_a_copy():
    srt.preset("janiak2024")["interpolate"]["steps"] = 3
    srt.reference.janiak2024()["models"].clear()
    assert srt.preset("janiak2024")["interpolate"]["steps"] == 50
    assert srt.reference.janiak2024()["models"]


def test_unknown_names_are_refused(monkeypatch):
    with pytest.raises(ValueError, match="janiak2024"):
        srt.preset("janiak2023")
    monkeypatch.setenv("SRT_PROFILE", "slow")
    with pytest.raises(ValueError, match=r"slow.*quick"):
        srt.profile()


def test_the_profile_comes_from_the_environment(monkeypatch):
    monkeypatch.delenv("SRT_PROFILE", raising=False)
    assert srt.profile().name == "quick"
    monkeypatch.setenv("SRT_PROFILE", "paper")
    assert srt.profile().model in {spec["hf"] for spec in srt.reference.janiak2024()["models"].values()}


def test_a_verdict_shows_its_numbers_to_readers_and_to_the_report():
    said = srt.verdict(
        "It <moves>", model="m", statistic="slope", value=4.213, low=3.6, high=4.9, null=1.07, holds=False
    )
    bundle = said._repr_mimebundle_()
    assert bundle[MIME] == [
        {
            "claim": "It <moves>",
            "model": "m",
            "statistic": "slope",
            "value": 4.213,
            "low": 3.6,
            "high": 4.9,
            "null": 1.07,
            "paper": None,
            "holds": False,
        }
    ]
    assert "It &lt;moves&gt;" in bundle["text/html"] and "3.60 to 4.90" in bundle["text/html"]
    assert bundle["text/plain"] == "DOES NOT HOLD: It <moves>: slope 4.2 [3.6, 4.9] (null 1.1)"
