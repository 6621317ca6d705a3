"""The paper's settings and numbers, and the notebooks' profiles."""

from __future__ import annotations

import inspect

import pytest

import srtoolkit as srt


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
