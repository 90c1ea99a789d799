"""Which tensor of a file is which of a model: names, prefixes, timm's own ways, order."""

from __future__ import annotations

import re
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import timm
import torch
from torch import nn

from quickvision.base.errors import ModelError, some
from quickvision.models.weights import State, Stored

# Names as they are; without what wraps parts of a model (parallel, compiled, sharded); and as
# torchvision's published densenet files say them, where its models say `norm1`.
_RENAMED = (
    ("", ""),
    (r"(?<![^.])(?:module|_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.", ""),
    (r"(denselayer\d+\.(?:norm|relu|conv))\.([12]\.)", r"\1\2"),
)
# Weights that a training script has averaged over its steps: how they are called.
AVERAGED = re.compile(r"(?<![a-z])(?:ema|swa|polyak|averaged?|avg|teacher)(?![a-z])", re.I)
# What may be had in another size: where a patch is, or how far from another.
_POSITIONS = re.compile(r"pos_emb|rel_pos|relative_position|position_emb")
_COUNT = "num_batches_tracked"  # files from before torch 0.4.1, torchvision's own among them: none
_KINDS = {"weight", "bias", "running_mean", "running_var"}
Filter = Callable[[dict[str, torch.Tensor], nn.Module], Mapping[str, Any]]


@dataclass(frozen=True)
class Target:
    """What a file must have.

    Attributes:
        model: The model, as its library builds it, or less its last layer.
        shapes: Of the tensors that are kept of it, by their names in it.
        cut: The model's names, by those of its body that is cut out as a `Sequential`, which
            fastai's `learn.save` and our runs write; empty where there is no such body.
        filter: timm's own conversion of files to this model, if it has one.
    """

    model: nn.Module
    shapes: Mapping[str, torch.Size]
    cut: Mapping[str, str] = field(default_factory=dict)
    filter: Filter | None = None

    @classmethod
    def of(cls, model: nn.Module, body: nn.Module, cut: nn.Module | None, arch: object) -> Target:
        """Look at a model, what is kept of it, and its body cut out: they share their tensors."""
        named = {id(t): name for name, t in model.state_dict(keep_vars=True).items()}
        kept = {named[id(t)]: t.shape for t in body.state_dict(keep_vars=True).values()}
        there = cut.state_dict(keep_vars=True) if cut is not None else {}
        inside = {name: named[id(t)] for name, t in there.items() if named.get(id(t)) in kept}
        return cls(
            model,
            {name: kept[name] for name in named.values() if name in kept},
            inside if set(inside.values()) >= {n for n in kept if not n.endswith(_COUNT)} else {},
            timm_filter(arch) if isinstance(arch, str) else None,
        )


@dataclass(frozen=True)
class Fit:
    """A state dict, and how its tensors become the model's.

    Attributes:
        keys: Code of the keys that lead to it in its file.
        tensors: The model's, by its names.
        renamed: Pattern and replacement for its names.
        prefix: What is taken off its names.
        how: "names"; "cut", the names of a cut body; "filter", timm's; or "order".
        home: The module of timm's conversion, where it was used.
        others: Names of the model whose tensors are missing or of other shapes, and of further
            layers of the file; empty where it fits.
    """

    keys: str
    tensors: State
    renamed: tuple[str, str] = ("", "")
    prefix: str = ""
    how: str = "names"
    home: str = ""
    others: tuple[str, ...] = ()

    def rename(self, key: str) -> str:
        """Rename a tensor, before a prefix is taken off."""
        return re.sub(*self.renamed, key) if self.renamed[0] else key

    @property
    def label(self) -> str:
        """Say what it is called in its file."""
        begin = f"names that begin with {self.prefix!r}" if self.prefix else ""
        return " ".join(part for part in (self.keys, begin) if part) or "the file's own names"


def timm_filter(name: str) -> Filter | None:
    """Find timm's conversion of published files to its model: `checkpoint_filter_fn` beside it."""
    home = sys.modules[timm.model_entrypoint(name.partition(".")[0]).__module__]
    found: Filter | None = getattr(home, "checkpoint_filter_fn", None)
    return found


def find_fit(stored: Stored, target: Target, *, name: str) -> tuple[Fit, list[Fit]]:
    """Find the state dict of a file that fits a model.

    Names count first: as they are, or after a prefix that all wanted names have in the file. Then
    timm's conversion, which may resize tables of positions, and nothing else. For a model that we
    have exported, the order of the tensors last.

    Of several that fit, one that is called averaged (EMA, SWA, teacher) is taken, as timm takes it
    and as training scripts measure it; else the first of the file.

    Returns:
        The one to take; and all that fit and are not the same.

    Raises:
        ModelError: None fits.
    """
    tried = [fit for keys, state in stored.states.items() for fit in _named(keys, state, target)]
    fits = [fit for fit in tried if not fit.others] or [
        fit for keys, state in stored.states.items() for fit in _converted(keys, state, target)
    ]
    if not fits and "quickvision" in stored.config:
        fits = [*_ordered(stored, target)]
    if not fits:
        raise _misfit(stored, target, tried, name)
    different: list[Fit] = []
    for fit in fits:
        if not any(_same(fit.tensors, one.tensors) for one in different):
            different.append(fit)
    return next((fit for fit in different if AVERAGED.search(fit.label)), different[0]), different


def _named(keys: str, state: State, target: Target) -> Iterator[Fit]:
    """Try names: each prefix that some wanted name has in the file."""
    namings: dict[str, Mapping[str, str]] = {"names": {k: k for k in target.shapes}}
    namings |= {"cut": target.cut}
    for renamed in _RENAMED:
        written = {re.sub(*renamed, key): t for key, t in state.items()} if renamed[0] else state
        if renamed[0] and written.keys() == state.keys():
            continue
        for how, names in namings.items():
            for prefix in _prefixes(written, names):
                size = len(prefix)
                inside = {k[size:]: t for k, t in written.items() if k.startswith(prefix)}
                found = {names[k]: t for k, t in inside.items() if k in names}
                further = _further(inside, names, target, plain=how == "names")
                others = (*_others(found, target), *further)
                found = {k: t for k, t in found.items() if t.shape == target.shapes[k]}
                yield Fit(keys, found, renamed, prefix, how, others=others)


def _prefixes(state: State, names: Collection[str]) -> list[str]:
    """List what stands before wanted names in a state dict, the most frequent first."""
    found: Counter[str] = Counter()
    for key in state:
        places = [0, *(i + 1 for i, letter in enumerate(key) if letter == ".")]
        found.update(key[:i] for i in places if key[i:] in names)
    return [prefix for prefix, _ in found.most_common()]


def _others(found: State, target: Target) -> list[str]:
    missing = [k for k in target.shapes if k not in found and not k.endswith(_COUNT)]
    return missing + [k for k, t in found.items() if t.shape != target.shapes[k]]


def _further(inside: State, names: Collection[str], target: Target, *, plain: bool) -> list[str]:
    """List further layers: resnet34's file has all that resnet18 wants, and more of the same."""
    known = {re.sub(r"\d+", "#", name) for name in names}
    left = [k for k in inside if k not in names and re.sub(r"\d+", "#", k) in known]
    if plain:  # a classifier is no further layer, nor what stood where there is an Identity
        empty = (n for n, m in target.model.named_modules() if n and isinstance(m, nn.Identity))
        taken = tuple(f"{name}." for name in empty)
        whole = target.model.state_dict().keys()
        left = [k for k in left if k not in whole and not k.startswith(taken)]
    return left


def _converted(keys: str, state: State, target: Target) -> Iterator[Fit]:
    """Try timm's conversion, on what is left after a prefix."""
    if target.filter is None:
        return
    first = next(iter(state)).split(".")
    steps = [".".join([*first[:n], ""]) for n in range(1, len(first))]
    shared = [step for step in steps if all(key.startswith(step) for key in state)]
    some_have = _prefixes(state, target.shapes)[:2]
    for prefix in dict.fromkeys(["", *shared, *some_have]):
        size = len(prefix)
        inside = {k[size:]: t for k, t in state.items() if k.startswith(prefix)}
        try:
            made = target.filter(dict(inside), target.model)
        except Exception:  # it was written for other files: whatever it stumbles over
            continue
        found = {k: t for k, t in made.items() if k in target.shapes and torch.is_tensor(t)}
        resized = [k for k, t in found.items() if k in inside and inside[k].numel() != t.numel()]
        positions = all(map(_POSITIONS.search, resized))
        rest = {k: t for k, t in made.items() if torch.is_tensor(t)}
        others = [*_others(found, target), *_further(rest, target.shapes, target, plain=True)]
        if positions and not others:
            home = target.filter.__module__
            yield Fit(keys, found, prefix=prefix, how="filter", home=home)
            return


def _ordered(stored: Stored, target: Target) -> Iterator[Fit]:
    """Try the order: our exports say torchvision's tensors with timm's names."""
    name = stored.config.get("architecture")
    if not isinstance(name, str) or not timm.is_model(name):
        return
    with torch.device("meta"):  # a file of safetensors has no order of its own
        theirs = timm.create_model(name, num_classes=0).state_dict()
    for keys, state in stored.states.items():
        there = {k: state[k].shape for k in theirs if k in state}
        if pairs := pair_in_order(target.shapes, there):
            found = {k: state[pairs[k]].reshape(target.shapes[k]) for k in pairs}
            yield Fit(keys, found, how="order")


def pair_in_order(
    wanted: Mapping[str, torch.Size], there: Mapping[str, torch.Size]
) -> dict[str, str]:
    """Pair the tensors of one network under two libraries' names: one to one, or not at all.

    Equal names are the same tensor; among the others of as many elements, the first is the first,
    and so on, and a mean is only ever a mean. The counts of batch norms stay out of it. Their
    epsilons may differ between the libraries: the exporter has moved variances by the difference
    (at most 1e-3, where variances are about 1), which is not moved back.

    Args:
        wanted: Shapes by names.
        there: Shapes by the other names.

    Returns:
        From names to the other names; empty where they do not pair up.

    >>> two = {"conv1.weight": torch.Size([8, 3, 3, 3]), "bn1.bias": torch.Size([8])}
    >>> pair_in_order(two, {"stem.0.weight": two["conv1.weight"], "stem.1.bias": two["bn1.bias"]})
    {'conv1.weight': 'stem.0.weight', 'bn1.bias': 'stem.1.bias'}
    """
    pairs = {k: k for k, shape in wanted.items() if k in there and shape == there[k]}
    sides: tuple[dict[int, list[str]], ...] = (defaultdict(list), defaultdict(list))
    for side, shapes in zip(sides, (wanted, there), strict=True):
        for name, shape in shapes.items():
            if name not in pairs and not name.endswith(_COUNT):
                side[shape.numel()].append(name)
    if {n: len(names) for n, names in sides[0].items()} != {n: len(k) for n, k in sides[1].items()}:
        return {}
    pairs |= {a: b for n in sides[0] for a, b in zip(sides[0][n], sides[1][n], strict=True)}
    kinds = ({a.rpartition(".")[2], b.rpartition(".")[2]} for a, b in pairs.items())
    mixed = any(len(kind) == 2 and kind <= _KINDS for kind in kinds)
    return {} if mixed else {name: pairs[name] for name in wanted if name in pairs}


def _same(one: State, two: State) -> bool:
    return all(t is two.get(k) or (k in two and torch.equal(t, two[k])) for k, t in one.items())


def _misfit(stored: Stored, target: Target, tried: list[Fit], name: str) -> ModelError:
    """Say what the nearest state dict lacks, and whose it is, where that is known."""
    nearest = max(tried, key=lambda fit: len(fit.tensors), default=Fit("", {}))
    others = nearest.others or tuple(target.shapes)
    further = [k for k in others if k not in target.shapes]
    n_missing, n_other = 0, 0
    state = stored.states.get(nearest.keys, {})
    ends = {nearest.rename(key) for key in state}
    back = {b: a for a, b in target.cut.items()} if nearest.how == "cut" else {}
    for k in set(others) - set(further):
        there = nearest.prefix + back.get(k, k) in ends
        n_missing, n_other = n_missing + (not there), n_other + there
    largest = max(stored.states.values(), key=len)
    made = "name the arch that the file was made with"
    if stored.arch:
        made = f"it was made with arch={stored.arch!r}, as the config.json there says"
    got = f"of {len(target.shapes)} tensors {n_missing} are missing and {n_other} have other shapes"
    if further:
        got += f", and {len(further)} are there of further layers, as of a larger model"
    return ModelError(
        f"expected the weights of {name} in {stored.file}, got others: {got},"
        f" the first being {others[0]!r} (its {len(largest)} tensors begin with"
        f" {some([repr(key) for key in largest], limit=2)}); {made}"
    )
