"""Phrases of the library's messages, as the command line says them: files for what a run holds."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from quickvision.cli.values import Named

FILES = {"history": "log.csv", "preds": "predictions.csv", "skipped": "skipped.csv"}  # of a run


def of_files(text: str, command: str, given: Mapping[str, str]) -> str:
    """Name files and commands in place of what a run and the loaders hold.

    Args:
        text: A message.
        command: The one at hand.
        given: Its arguments, as `{"RUN": "runs/pets-001"}`. A summary says its folder itself.

    >>> of_files("2 pictures, see run.skipped", "report", {"RUN": "runs/pets-001"})
    '2 pictures, see runs/pets-001/skipped.csv'
    """
    folder = re.search(r"^written to +(\S.*)$", text, re.MULTILINE)
    run = folder[1] if folder else given.get("RUN", "")
    where, below = (shlex.quote(run), f"{run}/") if run else ("RUN", "")
    text = re.sub(
        r"\brun\.learn\.load\('best'\) goes back to it",
        lambda _: (
            f"{below}checkpoints/best.pth has it, and quickvision export {where} MODEL --best"
            " writes it as a model"
        ),
        text,
    )
    text = re.sub(
        r"\b(?:run\.)?learn\.load\('([\w-]+)'\)(?: goes back to (the [\w -]+ stage's end))?",
        lambda m: f"{below}checkpoints/{m[1]}.pth{f' has {m[2]}' if m[2] else ''}",
        text,
    )
    text = text.replace("run.wrong() lists all", f"{below}predictions.csv has all")
    text = re.sub(rf"\brun\.({'|'.join(FILES)})\b(?![(.]\w)", lambda m: below + FILES[m[1]], text)
    kept = "skipped.csv in the run's folder lists them"
    if command in ("check", "compare", "evaluate", "predict", "submit"):  # no run, so no such file
        path = shlex.quote(given.get("PATH", "PATH"))
        kept = f"quickvision check {path} --json lists them"
    text = re.sub(r"\bsee dls\.skipped\b", lambda _: kept, text)
    return re.sub(r"(\ba third side|, left alone): dls\.test_files\b", r"\1", text)


def of_options(text: str, options: Mapping[str, Named]) -> str:
    """Write the options that a sentence names without a value, as `views: expected ...` does.

    >>> of_options("ids: goes without like, as", {"ids": Named("--ids"), "like": Named("--like")})
    '--ids goes without --like, as'
    """
    if options:
        named = f"(?:{'|'.join(sorted(options, key=len, reverse=True))})"

        def all_of(names: str) -> str:
            return re.sub(r"\w+", lambda m: options[m[0]].yes, names)

        text = re.sub(
            rf"^((?:{named}, )*{named}):( goes with(?:out)?\b)?",
            lambda m: f"{all_of(m[1])}{m[2] or ':'}",
            text,
        )
        single = rf"(?<=goes without )({named})(?=, |$)|(?<=\blower ){named}(?=$|[,;])"
        text = re.sub(single, lambda m: all_of(m[0]), text)
        either = rf"^(expected )({named})( or )({named})(?=, got both)"
        text = re.sub(either, lambda m: f"{m[1]}{all_of(m[2])}{m[3]}{all_of(m[4])}", text)
    text = re.sub(r"(^--weights: expected 'default', )None\b", r"\1'none'", text)
    text = re.sub(r"\buse from_name_re\b(?!\()", "use --pattern", text)
    text = re.sub(r"\buse from_csv\b(?!\()", "name that table in place of the folder", text)
    return re.sub(r" for from_csv\b(?!\()", " and name it in place of the folder", text)
