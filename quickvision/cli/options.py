"""The command line's options: their types, their help, and what is checked of them at once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, get_args

import typer


def _pattern(text: str | None) -> str | None:
    if text is not None:
        from quickvision.data.labels import NameLabel  # it loads numpy

        try:
            NameLabel(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    return text


def fraction(text: str) -> float | str:
    """Read a fraction; anything else is a folder or a split file."""
    try:
        value = float(text)
    except ValueError:
        return text
    if not 0 < value < 1:
        raise typer.BadParameter(f"expected a fraction such as 0.2 (20 %), got {value:g}")
    return value


def _positive(text: str) -> str:
    fraction(text)
    return text


def _rate(text: str) -> str:
    try:
        good = text == "find" or float(text) > 0
    except ValueError:
        good = False
    if not good:
        raise typer.BadParameter(f"expected 'find' or a rate such as 1e-3, got {text!r}")
    return text


def _batch(text: str) -> str:
    if text != "auto" and not (text.isdecimal() and int(text) > 1):
        raise typer.BadParameter(f"expected 'auto' or a whole number from 2, got {text!r}")
    return text


def _time(text: str | None) -> str | None:
    if text is not None:
        from quickvision.base.figures import to_seconds  # it loads torch

        try:
            to_seconds(text)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    return text


def _opts(names: list[str] | None) -> list[str] | None:
    return _among(names, get_args(Opt))


def _schedules(names: list[str] | None) -> list[str] | None:
    return _among(names, get_args(Schedule))


def _among(names: list[str] | None, known: tuple[str, ...]) -> list[str] | None:
    """Check each of several choices: Typer does so for single ones only."""
    for name in names or ():
        if name not in known:
            raise typer.BadParameter(f"expected {', '.join(known)}, got {name!r}")
    return names


PATTERN_HELP = r"Labels are in the names: a regex with one group, as '^(.+)_\d+\.jpg$'."
VALID_HELP = "Fraction, folder or split.csv that is held out; a folder such as val is found."
NAMES_HELP = "CSV file with the names of classes that are numbers."

Resizing = Literal["crop", "squish", "pad"]
Balance = Literal["weights", "oversample"]
Schedule = Literal["one_cycle", "flat_cos", "cosine", "step", "plateau", "constant"]
Opt = Literal[
    "adamw", "adam", "sgd", "rmsprop", "radam", "qhadam", "larc", "lamb", "ranger", "adadelta",
    "adagrad",
]  # fmt: skip
Head = Literal["fastai", "linear"]
Precision = Literal["auto", "float32", "bf16", "fp16"]
Log = Literal["tensorboard", "wandb"]
Where = Annotated[Path, typer.Argument(help="Class folders, train and val, names, or a CSV file.")]
Pattern = Annotated[str | None, typer.Option(callback=_pattern, help=PATTERN_HELP)]
Valid = Annotated[str, typer.Option(callback=_positive, help=VALID_HELP)]
ClassNames = Annotated[Path | None, typer.Option(help=NAMES_HELP)]
Size = Annotated[int, typer.Option(min=2, help="Pixels of a side.")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of split, head and augmentation.")]
MaxBad = Annotated[float, typer.Option(min=0, max=1, help="Fraction of bad files that is allowed.")]
MaybeSize = Annotated[
    int | None, typer.Option(min=2, help="Pixels of a side; by default what the model wants.")
]
Weights = Annotated[str, typer.Option(help="'default' (downloaded), 'none', or a file.")]
AnyBatchSize = Annotated[
    str, typer.Option("--bs", callback=_batch, help="Pictures in a batch; 'auto': what fits.")
]
BatchSize = Annotated[int, typer.Option(min=2, help="Pictures in a batch.")]
FrozenEpochs = Annotated[int, typer.Option(min=0, help="Epochs of the head alone.")]
UnfrozenEpochs = Annotated[int, typer.Option(min=0, help="Epochs of all layers.")]
Rate = Annotated[str, typer.Option(callback=_rate, help="'find', or the rate of the frozen stage.")]
Budget = Annotated[
    str | None, typer.Option(callback=_time, help="Time for all of it, as 10min: picks the epochs.")
]
Gpus = Annotated[int | None, typer.Option(min=1, help="GPUs to train on, a process each.")]
Opts = Annotated[
    list[str] | None, typer.Option("--opt", callback=_opts, help="Optimisers; may be repeated.")
]
Schedules = Annotated[
    list[str] | None,
    typer.Option("--schedule", callback=_schedules, help="Schedules; may be repeated."),
]
