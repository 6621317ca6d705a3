"""Results joined: of single models along ``model``, and any others along an axis."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

#: Attributes of a result that describe its model: coordinates along ``model``, even where they do not differ.
_OF_A_MODEL = ("name", "revision", "commit", "fingerprint", "init", "seed", "parameters")


def join(found: Mapping[str, xr.Dataset], names: Sequence[str], errors: Mapping[str, str]) -> xr.Dataset:
    """All results joined along ``model``; attributes that differ between models become coordinates.

    Args:
        found: Results of one or more models, by label.
        names: Labels of all models, in the order of the result; values of a model without a result are missing.
        errors: Why a model has no result, by label.
    """
    parts = {name: found[name].copy() for name in names if name in found}
    for name, part in parts.items():
        part.attrs = {"name" if key == "model" else key: value for key, value in part.attrs.items()}
        if "model" in part.coords:  # of results on several models that the measurement joined: the axis is the sweep's
            parts[name] = part.rename(model="name")
    joined = _joined([_expanded(part, "model", name) for name, part in parts.items()], "model", _OF_A_MODEL)
    fill = {str(name): _filler(values) for name, values in joined.variables.items()}
    joined = joined.reindex(model=list(names), fill_value=fill)
    return joined.assign(error=("model", [errors.get(name, "") for name in names]))


def concat(results: Sequence[xr.Dataset] | Mapping[Any, xr.Dataset], dim: str) -> xr.Dataset:
    """Results one after the other along an axis, whatever the lengths of their prompts.

    What one result lacks is filled up at the end: token ids and other whole numbers with -1, numbers with NaN, texts
    with ``""``. Along ``pair``, prompts are numbered anew: equal texts are equal prompts. Labels of pairs that occur
    twice get the result's own label in front.

    Args:
        results: Two or more results of one kind, in order; or by label, where ``dim`` is a new axis.
        dim: The axis, such as ``"pair"``. One that no result has is made; its labels are those given, or else the
            results' own coordinate or setting of that name, or else 0, 1, ….

    Returns:
        A Dataset along ``dim``. Attributes that differ between results are coordinates along it.

    Raises:
        TypeError: ``results`` are no Datasets, or ``dim`` is no name.
        ValueError: There are fewer than two results, some have the axis and others do not, it is one of their
            variables, or their variables differ.
    """
    if not isinstance(results, Mapping | Sequence) or isinstance(results, str):
        raise TypeError(
            f"results: expected a list of Datasets, or a mapping to Datasets, got {type(results).__name__}."
        )
    parts = dict(results) if isinstance(results, Mapping) else dict(enumerate(results))
    if wrong := [type(part).__name__ for part in parts.values() if not isinstance(part, xr.Dataset)]:
        raise TypeError(f"results: expected xarray Datasets, got {', '.join(sorted(set(wrong)))} among them.")
    if not isinstance(dim, str) or not dim:
        raise TypeError(f"dim={dim!r}: expected the name of an axis, such as 'pair'.")
    if len(parts) < 2:
        raise ValueError(f"results: expected two or more, got {len(parts)}.")
    _check_alike(list(parts.values()), dim)
    if all(dim in part.dims for part in parts.values()):
        joined = _joined([part.copy() for part in _told_apart(parts, dim)], dim)
        return _numbered_anew(joined) if dim == "pair" else joined
    labels = list(parts) if isinstance(results, Mapping) else _labels(list(parts.values()), dim)
    new = [
        _expanded(part.drop_vars(dim, errors="ignore"), dim, label)
        for part, label in zip(parts.values(), labels, strict=True)
    ]
    return _joined(new, dim)


def _check_alike(parts: Sequence[xr.Dataset], dim: str) -> None:
    have = [dim in part.dims for part in parts]
    if any(have) and not all(have):
        raise ValueError(f"dim={dim!r}: {sum(have)} of {len(parts)} results have this axis; expected all, or none.")
    if any(dim in part.data_vars for part in parts):
        raise ValueError(
            f"dim={dim!r} is a variable of the results; expected an axis, or a name that they do not have."
        )
    first = parts[0]
    for index, part in enumerate(parts):
        if differing := sorted(map(str, set(part.data_vars) ^ set(first.data_vars))):
            raise ValueError(
                f"results: number {index} and number 0 differ in their variables {differing}; expected results of one "
                "measurement. Drop those variables (drop_vars), or measure them for all."
            )
        dims = {str(name): (part[name].dims, first[name].dims) for name in part.data_vars}
        if other := [f"{name} {mine} and {its}" for name, (mine, its) in dims.items() if mine != its]:
            raise ValueError(f"results: number {index} and number 0 differ in the axes of {'; '.join(other)}.")


def _labels(parts: Sequence[xr.Dataset], dim: str) -> list[Any]:
    """Labels along a new axis: what the results say of themselves, if that tells them apart."""
    if all(dim in part.coords and not part[dim].dims for part in parts):
        return [part[dim].item() for part in parts]
    said = [part.attrs.get(dim) for part in parts]
    told = all(isinstance(value, str | int | float) for value in said) and len(set(map(str, said))) == len(parts)
    return said if told else list(range(len(parts)))


def _expanded(part: xr.Dataset, dim: str, label: Any) -> xr.Dataset:
    attrs = {key: value for key, value in part.attrs.items() if key != dim}
    return _count_positions(part).expand_dims({dim: [label]}).drop_attrs(deep=False).assign_attrs(attrs)


def _told_apart(parts: Mapping[Any, xr.Dataset], dim: str) -> list[xr.Dataset]:
    """Results whose labels along an axis that they have are told apart, where those are texts and some are equal."""
    if not all(dim in part.coords and part[dim].dtype.kind in "UOT" for part in parts.values()):
        return list(parts.values())
    labels = np.concatenate([part[dim].values.astype(str) for part in parts.values()])
    if len(set(labels.tolist())) == len(labels):
        return list(parts.values())
    return [part.assign_coords({dim: [f"{key}: {one}" for one in part[dim].values]}) for key, part in parts.items()]


def _numbered_anew(joined: xr.Dataset) -> xr.Dataset:
    """The result with numbers of prompts that are right for all pairs in it, not for each part alone."""
    if not {"prompt_a", "prompt_b", "text_a", "text_b"} <= set(joined.variables):
        return joined
    texts = np.concatenate([joined["text_a"].values, joined["text_b"].values]).tolist()
    number = {text: index for index, text in enumerate(dict.fromkeys(texts))}
    numbers = np.array([number[text] for text in texts]).reshape(2, -1)
    return joined.assign(
        {name: joined[name].copy(data=numbers[row]) for row, name in enumerate(("prompt_a", "prompt_b"))}
    )


def _joined(parts: Sequence[xr.Dataset], dim: str, always: Collection[str] = ()) -> xr.Dataset:
    """Datasets that have an axis, one after the other along it; attributes that differ become coordinates along it.

    Args:
        parts: The Datasets.
        dim: The axis.
        always: Attributes that become coordinates even where they do not differ.
    """
    counted = [_count_positions(part, dim) for part in parts]
    attrs = [part.attrs for part in parts]
    keys = dict.fromkeys(key for one in attrs for key in one)
    own = [key for key in keys if key in always or any(str(one.get(key)) != str(attrs[0].get(key)) for one in attrs)]
    labelled = [
        part.assign_coords(
            {
                f"{key}_setting" if key in part.variables else key: (
                    dim,
                    [_scalar(mine.get(key, ""))] * part.sizes[dim],
                )
                for key in own
            }
        )
        for part, mine in zip(counted, attrs, strict=True)
    ]
    fill = {str(name): _filler(values) for part in labelled for name, values in part.variables.items()}
    joined = xr.concat(
        labelled, dim, data_vars="different", coords="different", compat="equals", join="outer", fill_value=fill
    )
    joined.attrs = {key: value for key, value in attrs[0].items() if key not in own}
    return joined


def _count_positions(dataset: xr.Dataset, besides: str = "") -> xr.Dataset:
    """The Dataset with a coordinate for every dimension, so that different lengths can be joined and filled up."""
    bare = [dim for dim in dataset.dims if dim not in dataset.coords and dim != besides]
    return dataset.assign_coords({dim: np.arange(dataset.sizes[dim]) for dim in bare})


def _scalar(value: Any) -> Any:
    return value if isinstance(value, str | int | float | np.generic) else str(value)


def _filler(values: Any) -> Any:
    """What stands for a missing value of this kind."""
    return {"i": -1, "b": False, "U": "", "O": "", "T": ""}.get(values.dtype.kind, np.nan)
