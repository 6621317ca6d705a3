"""How many cases there are: conftest sees to it that each property runs as many as it says."""

from __future__ import annotations

import re
from pathlib import Path


def test_there_are_two_thousand_cases():
    said = [
        int(number)
        for path in Path(__file__).parent.glob("test_*.py")
        for number in re.findall(r"^@cases\((\d+)\)", path.read_text(), re.MULTILINE)
    ]
    assert sum(said) >= 2000
