"""Reading a model's files with transformers; failures say what to do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers

from srtoolkit.models.decoders import check_decoder
from srtoolkit.models.options import Options
from srtoolkit.models.weights import DTYPES, listing, without_bars

_DIRECTORY_HINT = "A model's directory holds config.json, the tokenizer's files and *.safetensors."
#: What the name of a tokenizer's file has in it, whatever its kind.
_OF_TOKENIZERS = ("token", "vocab", "merges", "spiece", "spm", "tekken")
_CACHE_HINT = "Its files were fetched as the hub lists them, or lie in the cache."


@dataclass(frozen=True)
class Files:
    """The files of one version of a model, on this machine.

    Attributes:
        name: The model's name.
        what: The model and its revision, as error messages name them.
        location: A directory, or the id of a hub repository whose files lie in the cache.
        code: Whether Python files that the model brings along may run.
        commit: The commit to read from the hub's cache; ``None`` for a directory.
    """

    name: str
    what: str
    location: str
    code: bool = False
    commit: str | None = None

    def configuration(self) -> Any:
        """The model's transformers configuration.

        Raises:
            ValueError: The configuration cannot be read.
        """
        return self._read(transformers.AutoConfig)

    def tokenizer(self) -> Any:
        """The model's transformers tokenizer.

        Raises:
            ValueError: The tokenizer cannot be read, or the files have none.
        """
        folder = Path(self.location)
        there = not folder.is_dir() or any(part in file.name for file in folder.iterdir() for part in _OF_TOKENIZERS)
        with without_bars():
            found = self._read(transformers.AutoTokenizer) if there else None
        if found is None or set(found.get_vocab()) <= set(found.all_special_tokens):  # made up by transformers
            raise ValueError(
                f"cannot load {self.what}: there is no tokenizer among its files, so no text can be read. Save the one "
                "that it was trained with beside it, by tokenizer.save_pretrained(folder); or give token ids only, to "
                "srt.wrap(hf_model, None, name=...)."
            )
        return found

    def load(
        self, options: Options, fetch_weights: Callable[[], None] | None = None
    ) -> tuple[Any, Any, tuple[str, ...]]:
        """The transformers model, its tokenizer, and the names of the weights that the files lack.

        Args:
            options: How to load the model: weights, number format, placement.
            fetch_weights: Called before the weights are read; not called for random weights.

        Raises:
            ValueError: A file cannot be read, the files lack weights, or the model is no causal decoder.
        """
        config = self.configuration()
        check_decoder(config, self.name)
        tokenizer = self.tokenizer()
        if options.init == "random":
            return self._initial(config, options), tokenizer, ()
        if fetch_weights is not None:
            fetch_weights()
        hf, missing = self._stored(options)
        if missing and not options.allow_missing:
            raise ValueError(self._lacking(hf, missing))
        return hf, tokenizer, missing

    def _stored(self, options: Options) -> tuple[Any, tuple[str, ...]]:
        """The model with the weights of its files, and the names of those that are not there and are drawn."""
        placing = options.placement.for_transformers()
        with without_bars(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)  # or what is missing would be other numbers at each load
            hf, found = self._read(
                transformers.AutoModelForCausalLM, dtype=DTYPES[options.dtype], output_loading_info=True, **placing
            )
        return hf, tuple(sorted(found["missing_keys"]))

    def _lacking(self, hf: Any, missing: tuple[str, ...]) -> str:
        """Why a checkpoint that lacks weights is refused, in words."""
        head = [path for path, module in hf.named_modules() if module is hf.get_output_embeddings()]
        only_head = all(name.rpartition(".")[0] in head for name in missing)
        why = (
            "That is the unembedding, so this is a model without a language modelling head: a base model or a "
            "classifier."
            if only_head
            else "The files are incomplete, or name their weights as another version of transformers does."
        )
        return (
            f"cannot load {self.what}: its files lack {len(missing)} of the model's weights, {listing(missing)}. {why} "
            "They would be random numbers. Load a checkpoint that has them; load_model(..., allow_missing=True) draws "
            "them, and says so in every result."
        )

    def _initial(self, config: Any, options: Options) -> Any:
        """The model with fresh weights; the global generator stays as it is."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            return transformers.AutoModelForCausalLM.from_config(
                config, dtype=DTYPES[options.dtype], trust_remote_code=self.code
            )

    def _read(self, factory: Any, **options: Any) -> Any:
        """``factory.from_pretrained`` of these files."""
        pinned = {} if self.commit is None else {"revision": self.commit, "local_files_only": True}
        try:
            return factory.from_pretrained(self.location, trust_remote_code=self.code, **options, **pinned)
        except Exception as error:  # families and file formats each fail with a type of their own
            if not self.code and "trust_remote_code" in str(error):
                raise ValueError(
                    f"cannot load {self.what}: transformers does not know this architecture, and the model brings "
                    "Python code of its own, which was not run. Such code may do whatever you may do: read your files, "
                    "use your network. Read it first; load_model(..., revision=<the commit you read>, "
                    "trust_remote_code=True) then runs it."
                ) from error
            hint = _DIRECTORY_HINT if Path(self.location).is_dir() else _CACHE_HINT
            raise ValueError(f"cannot load {self.what}. {hint} transformers said: {str(error)[:600]}") from error
