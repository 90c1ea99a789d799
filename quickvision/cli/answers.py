"""The commands that ask a trained model. `predict` imports neither torch nor pandas for ONNX."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

import quickvision
from quickvision.base.errors import DataError, as_path, printable
from quickvision.base.files import write_whole
from quickvision.base.progress import line, spelled
from quickvision.cli.helping import Grouped
from quickvision.cli.parameters import Engine, Pattern, UnsureBelow, number, takes, word
from quickvision.data.options import Options
from quickvision.data.paths import find_files, no_pictures

WIDE = 44  # characters of a path that is printed
FIELDS = ("path", "label", "prob", "probs", "unsure", "error")

Model = Annotated[Path, typer.Argument(help="Folder of an exported model.", show_default=False)]


def add_answers(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    for command in (predict, evaluate, submit):
        app.command(cls=Grouped)(command)


def predict(
    model: Model,
    files: Annotated[list[Path], typer.Argument(help="Pictures, or folders of them.")],
    table: Annotated[
        Path | None,
        typer.Option("--csv", help="Write a table instead of lines.", metavar="FILE"),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with all probabilities.")
    ] = False,
    top: Annotated[
        int, typer.Option(parser=number(1), help="How many classes to print.", metavar="N")
    ] = 1,
    unsure_below: UnsureBelow = 0.0,
    engine: Engine = "auto",
) -> None:
    """Say what pictures show.

    Exit code 1 says that one could not be answered.

    As: quickvision predict model photo.jpg, or quickvision predict model new/ --csv new.csv
    """
    ask = quickvision.load_model(model, engine=engine)
    found = list(_pictures(files))
    widths = (
        min(WIDE, max((len(name) for name, _ in found), default=0)),
        min(WIDE, max(map(len, ask.vocab))),
    )
    rows, failed = [], 0
    for answer in _answered(ask, found, unsure_below):
        failed += bool(answer["error"])
        if table is not None:
            rows.append([answer[name] for name in FIELDS if name != "probs"])
        if as_json:
            typer.echo(printable(json.dumps(answer, ensure_ascii=False)))
        elif answer["error"]:
            typer.echo(printable(f"error: {spelled(answer['error'])}"), err=True)
        elif table is None:
            typer.echo(printable(_shown(answer, top, widths)))
    if table is not None:
        write_whole(as_path(table, "--csv"), lambda part: _write(part, rows))
        if not as_json:
            typer.echo(printable(line("written", f"{table}: {len(rows):,} rows")))
    raise typer.Exit(1 if failed else 0)


def _pictures(files: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Yield the pictures that are meant, and why there is none in a folder."""
    for path in files:
        if not path.is_dir():
            yield str(path), ""
            continue
        inside = find_files(path)
        if not inside.names:
            yield str(path), str(no_pictures(path, inside))
        for name in inside.names:
            yield str(path / name), ""


def _answered(
    ask: Any, found: Sequence[tuple[str, str]], unsure_below: float
) -> Iterator[dict[str, Any]]:
    """Yield what is said of each picture, in their order."""

    def one(picture: tuple[str, str]) -> dict[str, Any]:
        path, error = picture
        try:
            if error:
                raise DataError(error)
            said = ask.predict(path, unsure_below=unsure_below)
        except (DataError, OSError, TypeError, ValueError) as why:
            return dict(zip(FIELDS, (path, None, None, {}, False, str(why)), strict=True))
        probs = {name: round(prob, 6) for name, prob in said.probs.items()}
        values = (path, said.label, round(said.prob, 6), probs, said.unsure, "")
        return dict(zip(FIELDS, values, strict=True))

    if len(found) < 2:
        yield from map(one, found)
        return
    rest = iter(found)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        while several := list(islice(rest, 1024)):  # a million futures would take gigabytes
            yield from pool.map(one, several)


def _shown(answer: dict[str, Any], top: int, widths: tuple[int, int]) -> str:
    """Lay out a picture's line, and below it those of its next probable classes."""
    wide, label = widths
    path = answer["path"]
    path = path if len(path) <= wide else f"...{path[3 - wide :]}"
    lines = []
    for name, prob in islice(answer["probs"].items(), top):
        name = name if len(name) <= label else f"{name[: label - 3]}..."
        lines.append(f"{path:<{wide}}  {name:<{label}}  {prob:6.1%}")
        path = ""
    return f"{lines[0]}{'  not sure' if answer['unsure'] else ''}" + "".join(
        f"\n{text}" for text in lines[1:]
    )


def _write(part: Path, rows: Sequence[Sequence[object]]) -> None:
    with open(part, "w", encoding="utf-8", newline="", errors="replace") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerows([[name for name in FIELDS if name != "probs"], *rows])


@takes(Options, "class_names")
def evaluate(
    model: Model,
    data: Annotated[Path, typer.Argument(help="Class folders, names that are labels, or a CSV.")],
    pattern: Pattern = None,
    skip_unknown: Annotated[
        bool, typer.Option("--skip-unknown", help="Leave out classes that the model does not have.")
    ] = False,
    **options: Any,
) -> None:
    """Compare a model's answers with labels that it has never seen.

    As: quickvision evaluate model data/test
    """
    preds = quickvision.evaluate(model, data, pat=pattern, skip_unknown=skip_unknown, **options)
    typer.echo(line("accuracy", preds.accuracy))
    typer.echo(line("macro-F1", f"{quickvision.macro_f1(preds):.1%}, each class counting the same"))
    worst = quickvision.most_confused(preds).head(5).values.tolist()
    said = "\n".join(f"{actual} taken for {other} ({n:,})" for actual, other, n in worst)
    typer.echo(printable(line("confused", said or "nothing")))


@takes(Options, "class_names")
def submit(
    model: Model,
    folder: Annotated[Path, typer.Argument(help="Folder of the test pictures.")],
    out: Annotated[Path, typer.Argument(help="CSV file to write.")],
    like: Annotated[
        Path | None,
        typer.Option(help="A sample: its ids, order and columns.", metavar="FILE"),
    ] = None,
    id_col: Annotated[str | None, typer.Option(help="Column of the ids.", metavar="NAME")] = None,
    label_col: Annotated[
        str | None, typer.Option(help="Column of the labels.", metavar="NAME")
    ] = None,
    ids: Annotated[
        Literal["name", "stem", "number"] | None,
        typer.Option(
            parser=word("name", "stem", "number"),
            help="Without a sample: 00012.jpg, 00012 or 12.",
            metavar="name|stem|number",
        ),
    ] = None,
    first: Annotated[
        int | None,
        typer.Option(
            parser=number(0), help="Write numbers, from this for the first class.", metavar="N"
        ),
    ] = None,
    positive: Annotated[
        str | None, typer.Option(help="Write the probability of this class.", metavar="CLASS")
    ] = None,
    probs: Annotated[
        bool, typer.Option("--probs", help="Write a probability for each class.")
    ] = False,
    **options: Any,
) -> None:
    """Write a model's answers as the table that a competition wants.

    As: quickvision submit model data/test submission.csv --like sample_submission.csv
    """
    how = {"like": like, "id_col": id_col, "label_col": label_col, "ids": ids, "first": first}
    how |= {"positive": positive, "probs": probs, **options}
    quickvision.submit(model, folder, out, **how)
