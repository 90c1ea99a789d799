"""`report.html`, `report.md` and the short form of notebooks, from their templates."""

from __future__ import annotations

import base64
import hashlib
from functools import cache, partial
from importlib.resources import files
from pathlib import Path

import numpy as np
from jinja2 import Environment
from markupsafe import Markup

from quickvision.base.errors import printable
from quickvision.base.files import write_whole
from quickvision.base.templates import environment
from quickvision.report import charts, shown
from quickvision.report.matrix import MOST_COUNTS, matrix
from quickvision.report.outcome import MOST_WORST, Outcome, shown_worst
from quickvision.report.pictures import SMALL, Thumbnails
from quickvision.report.sentences import sentences
from quickvision.results.calibration import Calibration, calibration, reliability
from quickvision.results.order import confusion_order
from quickvision.results.predictions import confusion_matrix, most_confused, wrong

EXAMPLES = 3  # files of a finding
FEW = 6  # pictures of the short form
MOST_CLASSES = 40  # in words
HTML, MARKDOWN = "report.html", "report.md"
MOST_ROWS = 200  # of a table of pairs, or of what was left out


def write_report(outcome: Outcome, folder: Path) -> Path:
    """Write the page, and the same in words beside it.

    Args:
        outcome: What it tells of.
        folder: Where `report.html` and `report.md` are written, each whole or not at all.

    Returns:
        Path of `report.html`.

    Raises:
        RunError: They cannot be written.
    """
    found = calibration(outcome.preds)
    texts = {MARKDOWN: as_markdown(outcome, found), HTML: as_html(outcome, found)}
    for name, text in texts.items():
        path = write_whole(folder / name, partial(Path.write_bytes, data=printable(text).encode()))
    return path


def as_html(outcome: Outcome, found: Calibration) -> str:
    """Lay the page out: one file, which loads nothing and runs no script but its own."""
    thumbnails = Thumbnails(outcome.data.view, outcome.data.levels)
    preds, style, script = outcome.preds, _beside("report.css"), _beside("report.js")
    worst, suspects = shown.worst(outcome, thumbnails), shown.suspects(outcome, thumbnails)
    cm = confusion_matrix(preds)
    many = len(preds.vocab) > MOST_COUNTS
    order = confusion_order(cm) if many else np.arange(len(cm))
    return (
        _templates()
        .get_template("report.html.jinja")
        .render(
            o=outcome,
            style=Markup(style),
            script=Markup(script),
            policy=f"default-src 'none'; img-src data:; style-src {_hash(style)};"
            f" script-src {_hash(script)}; base-uri 'none'; form-action 'none'",
            accuracy=preds.accuracy,
            sentences=sentences(outcome, found),
            curves=charts.of_history(outcome.history),
            rates=[charts.of_rates(name, found) for name, found in outcome.lr_finds.items()],
            reasons=charts.reasons(outcome.lr_finds),
            worst=worst,
            has_heat=any(one.why for one in worst),
            pairs=shown.pairs(preds, thumbnails),
            confused=most_confused(preds).head(MOST_ROWS).to_dict("records"),
            matrix=matrix(preds, order),
            classes=shown.classes(preds),
            calibration=found,
            reliability=charts.of_calibration(reliability(preds)),
            suspects=suspects,
            skipped=outcome.data.skipped.head(MOST_ROWS).to_dict("records"),
            examples=EXAMPLES,
            seconds=shown.seconds(outcome.timing),
        )
    )


def as_markdown(outcome: Outcome, found: Calibration) -> str:
    """Say the same in words, for a terminal or a pull request."""
    preds = outcome.preds
    suspects = outcome.suspects
    return (
        environment("report")
        .get_template("report.md.jinja")
        .render(
            o=outcome,
            cell=_cell,
            sentences=sentences(outcome, found),
            confused=most_confused(preds).head(10).to_dict("records"),
            wrong=wrong(preds).head(MOST_WORST).to_dict("records"),
            classes=shown.classes(preds)[:MOST_CLASSES],
            suspects=[] if suspects is None else suspects.head(MOST_WORST).to_dict("records"),
            seconds=shown.seconds(outcome.timing),
        )
    )


def as_short(outcome: Outcome, where: str = "") -> str:
    """Lay the short form out, for notebooks: sentences, curves, worst pairs, thumbnails.

    Args:
        outcome: What it tells of.
        where: Where the whole report is, in a sentence.
    """
    preds, found = outcome.preds, calibration(outcome.preds)
    thumbnails = Thumbnails(outcome.data.view, outcome.data.levels)
    places = shown_worst(preds)[:FEW]
    pictures = thumbnails((preds.paths[i] for i in places), SMALL)
    return _templates().get_template("short.html.jinja").render(
        o=outcome,
        where=where,
        sentences=sentences(outcome, found),
        curves=charts.of_history(outcome.history)[:2],
        confused=most_confused(preds).head(5).to_dict("records"),
        worst=[
            (pictures.get(preds.paths[i], ""), preds.vocab[preds.targs[i]],
             preds.vocab[preds.predicted[i]], float(preds.probs[i].max()))
            for i in places
        ],
    )  # fmt: skip


@cache
def _templates() -> Environment:
    env = environment("report", page=True)
    env.filters["percent"] = lambda share, digits=1: f"{100 * share:.{digits}f}"
    env.filters["plain"] = printable
    return env


@cache
def _beside(name: str) -> str:
    return files("quickvision.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Name a style or a script, so that a browser takes it, and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _cell(text: object) -> str:
    """Write users' words into a cell of a Markdown table."""
    plain = " ".join(printable(str(text)).split())
    for mark in "\\`*_[]<>|#":
        plain = plain.replace(mark, f"\\{mark}")
    return plain
