"""Loading a model whose weights stay on a server: only its configuration and tokenizer are fetched."""

from __future__ import annotations

import logging

from srtoolkit.models import ndif
from srtoolkit.models.decoders import check_decoder
from srtoolkit.models.hub import snapshots
from srtoolkit.models.model import Model
from srtoolkit.models.options import Options
from srtoolkit.models.sources.hub import Hub
from srtoolkit.models.sources.source import Source
from srtoolkit.models.wrapping import as_model

logger = logging.getLogger(__name__)


def load_remote(source: Source, revision: str | None, options: Options, remote: bool | str) -> Model:
    """Load a model that runs on a server, or rehearses that on this machine.

    Args:
        source: Source of the model; servers run models of the hub only.
        revision: Branch, tag or commit; the main branch where ``None``.
        options: How to load the model; what a server decides on itself must be left as it is.
        remote: Where the model runs, as :func:`srtoolkit.load_model` takes it.

    Raises:
        RemoteError: There is no key, no connection or no such model, or an option is the server's to decide.
        HubError: The hub does not give the configuration or the tokenizer.
    """
    name = source.name
    ndif.check_options(name, remote, isinstance(source, Hub), **options.left_to_server())
    assert isinstance(source, Hub)
    snapshot = snapshots.snapshot(name, revision)
    snapshot.fetch_texts()
    if remote == ndif.REHEARSAL:
        snapshot.fetch_weights()
    files = source.files(snapshot)
    config = files.configuration()
    check_decoder(config, name)
    tokenizer = files.tokenizer()
    nn = ndif.connect(name, revision, snapshot.commit, config, tokenizer, options.dtype, remote)
    model = as_model(
        nn._module,
        tokenizer,
        name=name,
        dtype=options.dtype,
        revision=revision,
        commit=snapshot.commit,
        init="pretrained",
        remote=remote,
        nn=nn,
    )
    ndif.identify(model)
    if model.dtype != options.dtype:
        logger.warning("%s: the server holds it in %s, not in %s.", name, model.dtype, options.dtype)
    return model
