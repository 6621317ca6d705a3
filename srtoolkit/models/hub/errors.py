"""Failures of the hub in words: what was asked, what came back, and what to do."""

from __future__ import annotations

import contextlib
import re
from urllib.parse import urlsplit

import huggingface_hub
from huggingface_hub import constants
from huggingface_hub.errors import (  # type: ignore[attr-defined]  # HTTPError: of the HTTP library it is built on
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RevisionNotFoundError,
)

_NAME_HINT = (
    "It is neither a packaged name (srt.available_models()), nor a local directory, nor the id of a model on the hub, "
    "written owner/name."
)
_LOG_IN = "log in with `hf auth login` or set HF_TOKEN"


class HubError(ValueError):
    """The hub did not give what was asked for; the message says what was asked, what came back, and what to do."""


def status(error: BaseException) -> int | None:
    """HTTP status that the hub answered with; 0 for no answer, ``None`` where the failure is not the hub's.

    Args:
        error: The error that the hub's client raised.
    """
    if isinstance(error, HfHubHTTPError):
        return int(error.response.status_code)
    return 0 if isinstance(error, HTTPError | ConnectionError) and not isinstance(error, OfflineModeIsEnabled) else None


def refusal(error: BaseException, name: str, revision: str | None, path: str | None = None) -> HubError:
    """A failure of the hub's client as a :class:`HubError` that says what to do.

    Raise it ``from None``: the client's own text may repeat what a server wrote, and that is quoted here without
    secrets.

    Args:
        error: The error that the hub's client raised.
        name: Id of the repository that was asked for.
        revision: Branch, tag or commit that was asked for.
        path: Path of the file that was asked for, if any.
    """
    while isinstance(error, LocalEntryNotFoundError) and error.__cause__ is not None:
        error = error.__cause__  # what the client met before it looked into the cache
    what = f"revision {revision!r} of {name!r}" if revision else repr(name)
    asked = f"{path} of {what}" if path else what
    return HubError(f"cannot load {asked}: {_words(error, name)}{_quoted(error)}")


def _words(error: BaseException, name: str) -> str:
    """The hub's answer in words, and what to do."""
    page = f"{where()}/{name}"
    code = status(error)
    if isinstance(error, HFValidationError):
        return f"this cannot be the name of a model on the hub. {_NAME_HINT}"
    if isinstance(error, OfflineModeIsEnabled | LocalEntryNotFoundError):
        return f"it is not in the cache, and HF_HUB_OFFLINE forbids to ask the hub. {_NAME_HINT}"
    if isinstance(error, RevisionNotFoundError):
        return f"the model exists, the revision does not ({code}). {page}/branches lists the branches and tags."
    if isinstance(error, GatedRepoError):
        return f"the model is gated ({code}): accept its terms at {page}, then {_LOG_IN}."
    if code == 404:
        return f"{where()} has no such model or file (404). {_NAME_HINT}"
    if isinstance(error, HfHubHTTPError) and "Invalid credentials" in error.response.headers.get("X-Error-Message", ""):
        return f"{where()} does not accept the token that was sent ({code}); it may have expired: {_LOG_IN} anew."
    if code == 401:
        return (
            f"{where()} has no such model, or it is private and this access not allowed (401; the hub does not say "
            f"which). Check the name; for a private model, {_LOG_IN}."
        )
    if code == 403:
        return f"{where()} forbids it (403): the token lacks the right to read {page}; ask its owners, or {_LOG_IN}."
    if code == 429:
        return f"{where()} limits the rate (429). Try again in some minutes."
    if code is not None and code >= 500:
        return (
            f"{where()} failed ({code}). The fault is the server's: try again later, or set "
            "HF_HUB_OFFLINE=1 to use what is in the cache."
        )
    if code == 0:
        return (
            f"no connection to {where()}, or it was lost. Check the network, the proxy settings and "
            "HF_ENDPOINT; HF_HUB_OFFLINE=1 uses what is in the cache."
        )
    return f"{where()} could not be read. Check HF_ENDPOINT, the disk and the cache in {constants.HF_HUB_CACHE}."


def _quoted(error: BaseException) -> str:
    """The server's own words, or the client's, shortened."""
    said = getattr(error, "server_message", None) if isinstance(error, HfHubHTTPError) else str(error)
    return f" It said: {without_secrets(said.strip())[:300]}" if said and said.strip() else ""


def where() -> str:
    """The hub's address, without a user or password in it."""
    parts = urlsplit(constants.ENDPOINT)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def without_secrets(text: str) -> str:
    """A text without the token in use, anything that looks like a token, and passwords in addresses.

    Args:
        text: What a server or client said.
    """
    with contextlib.suppress(OSError):  # a home that cannot hold the token's file has none
        if token := huggingface_hub.get_token():
            text = text.replace(token, "<token>")
    return re.sub(r"//[^/@\s]+@", "//", re.sub(r"\bhf_[A-Za-z0-9]{16,}", "<token>", text))
