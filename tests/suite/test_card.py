"""The suite's model card says what the package carries."""

from __future__ import annotations

from srtoolkit.suite import card, shipped
from srtoolkit.suite.configuration import names


def test_every_number_of_the_card_is_that_of_the_files():
    text = card.CARD.read_text()
    kept = card._TEXT.substitute(card.numbers() | {"samples": "SAMPLES"}).split("SAMPLES")
    assert text.startswith(kept[0]) and text.endswith(kept[1]), "python -m srtoolkit.suite card writes it anew"


def test_the_card_names_every_model_source_and_checkpoint():
    numbers = card.numbers()
    for name in names():
        assert f"`{name}`" in numbers["models"]
        assert shipped.revisions(name)[-1].removeprefix("step") in numbers["checkpoints"]
    assert numbers["sources"].count("\n") == 6  # five archives below a head


def test_samples_go_on_from_each_prompt():
    lines = card.samples(length=5).splitlines()
    assert len(lines) == 3 * len(card.PROMPTS)
    assert all(f"**{prompt}**" in line for prompt, line in zip(3 * card.PROMPTS, lines, strict=True))
