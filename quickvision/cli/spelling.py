"""What the library says, in the words of the command line.

The library's messages name Python (`resume('runs/x')`, `max_bad=0.1`, `see run.skipped`), and there
is one text of each. Here a finished text becomes what somebody can type: calls of public functions
become commands, options become `--name value`, what a run holds becomes its files. It must take
nobody's folder for one of these, so it is strict: a call is read with Python's own parser, an
option stands where our sentences put one (`with max_bad=0.1`), and what was typed stays as it was.
Loads no torch, numpy or pandas.
"""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from quickvision.cli.phrases import of_files, of_options
from quickvision.cli.values import Named, shell, with_text, with_value

IN_PYTHON = " (in Python)"  # after what has no command

# A function, the command that does the same, and what its arguments are called there, in order.
_RUN, _DATA = ("RUN",), ("PATH",)
COMMANDS = {
    "train": ("train", _DATA),
    "check": ("check", _DATA),
    "compare": ("compare", ("PATH", "MODELS")),
    "resume": ("resume", _RUN),
    "load_run": ("report", _RUN),
    "evaluate": ("evaluate", ("MODEL", "PATH")),
    "submit": ("submit", ("MODEL", "FOLDER", "OUT")),
    "predict": ("predict", ("MODEL", "FILES")),
    "serve": ("serve", ("MODEL",)),
    "list_models": ("models", ("NAME",)),
}
DOORS = ("load_data", "from_folder", "from_name_re", "from_csv")  # what reads the data at hand
_OTHERS = (
    *("from_df", "cnn_learner", "feature_learner", "save_split", "fit_frozen", "fit_unfrozen"),
    *("find_lr", "solve_head", "get_preds", "heatmap", "suspects", "before_after", "calibration"),
)  # public functions that are no commands
_PYTHON = (
    *("activation", "arch", "archs", "batch_tfms", "cbs", "check", "class_weights", "crop_pct"),
    *("dropout", "fn_col", "groups", "header", "hidden", "images", "interpolation", "item_tfms"),
    *("label_col", "layer_groups", "levels", "loss", "lr_unfrozen", "metrics", "mode", "momentum"),
    *("pat", "path", "suffix", "valid_col", "vocab"),
)  # arguments that messages name and that are no options, or not everywhere

_NAMES = (r"run\.export", r"run\.report", "export", "load_model", *COMMANDS, *DOORS, *_OTHERS)
_CALL = re.compile(
    r"(?<![\w./'\"=-])(?P<library>qv\.|quickvision\.)?" rf"(?P<name>{'|'.join(_NAMES)})\("
)
_AFTER = r"(?=$|[\s;,:)]|\.(?:\s|$))"  # a name that goes on (`train('x').jpg`) is none of ours
_VALUE = (
    r"r?'[^']*'|r?\"[^\"]*\"|re\.compile\(r?'[^'\n]*'\)|\{[^{}]*\}|\[[^\[\]]*\]|\([^()]*\)"
    r"|True|False|None|\.\.\.|[A-Z]{2,}"
    r"|\d+(?:\.\d+)?(?:e-?\d+)?%?"
)
_LEADS = re.compile(
    r"(?:^|; |instead: |\b(?:with|without|say|says|see|try|pass|give|the|leave|or|and|smaller"
    r"|fewer|another|take|for|lower|than|to) |\()$"
)
_VERBS = re.compile(r" (?:would|makes|turns|keeps|says|say|opens|leaves|lets|has|is|goes)\b")
_QUOTED = re.compile(r"(?<![\w'\"])r?'[^'\n]*'(?!\w)|(?<![\w'\"])r?\"[^\"\n]*\"(?!\w)")


@dataclass(frozen=True)
class Spelling:
    """Who is spoken to: a command, and what was typed after it.

    Attributes:
        options: Of each command, by the names that the library has for them.
        command: The one at hand; empty where there is none.
        typed: The words after it, which stay as they are wherever they are said again.
        given: Its arguments by their names here, as `{"PATH": "photos"}`.
    """

    options: Mapping[str, Mapping[str, Named]]
    command: str = ""
    typed: tuple[str, ...] = ()
    given: Mapping[str, str] = field(default_factory=dict)

    def __call__(self, text: str) -> str:
        """Write a text of the library as the command line says it; twice is as good as once."""
        for word in self.typed:  # a pattern comes back as it was typed
            if "\\" in word and "'" not in word:
                text = text.replace(repr(word), f"'{word}'").replace(f"r'{word}'", f"'{word}'")
        text = of_files(self._once(text), self.command, self.given)
        text = of_options(text, self.options.get(self.command, {}))
        parts, seen, kept = [], 0, _kept(text, self.typed)
        for start, end, said in self._found(text, kept):
            parts += [text[seen:start], said]
            seen = end
        text = _said_once("".join([*parts, text[seen:]]))
        if (place := text.find(IN_PYTHON)) >= 0:  # said once, and that is enough
            head = text[: place + len(IN_PYTHON)]
            return head + text[place + len(IN_PYTHON) :].replace(IN_PYTHON, "")
        return text

    def name(self, option: str) -> Named | None:
        """Return an option of the command at hand."""
        return self.options.get(self.command, {}).get(option)

    def _known(self) -> str:
        names = {name for options in self.options.values() for name in options}
        return "|".join(sorted(names | {*_PYTHON}, key=len, reverse=True))

    def _once(self, text: str) -> str:
        """Leave out what says the command beside the call: the call will be that command."""
        call = r"((?:resume|load_run)\([^()]*\)(?:\.\w+\([^()]*\))?)"
        text = re.sub(rf"{call} \(quickvision [^()]*\)", r"\1", text)
        text = re.sub(rf"{call}([^;]*?), or:? quickvision .*$", r"\1\2", text)
        text = re.sub(rf"\b(?:{self._known()})=(?:{_VALUE})? \((--[\w -]+)\)", r"\1", text)
        return re.sub(rf"(--[\w-]+(?: [^\s;()]+)?) \((?:{self._known()})=\w*\)", r"\1", text)

    def _found(self, text: str, kept: list[tuple[int, int]]) -> Iterator[tuple[int, int, str]]:
        """Find the calls and options of ours, in order: where they are, and what is said there."""
        option = re.compile(
            rf"(?<![\w./'\"=-])(?P<name>{self._known()})=(?P<value>{_VALUE})?"
            rf"{_AFTER}(?P<more> or (?:'[^']*'|None){_AFTER})?"
        )
        place, last = 0, (-1, "")
        while place < len(text):
            finds = [m for m in (_CALL.search(text, place), option.search(text, place)) if m]
            if not finds:
                return
            match = min(finds, key=lambda m: m.start())
            start, place = match.start(), match.end()
            if any(first <= start < end for first, end in kept):
                place = start + 1
                continue
            if match.re is _CALL:
                end = _end_of_call(text, match.end() - 1)
                if end < 0 or (said := self._call(match, text[start:end])) is None:
                    continue
                place = end
                if not re.match(_AFTER, text[end:]):
                    continue
                yield start, end, said
            elif _is_ours(text, match, last):
                last = (match.end(), match["name"])
                yield start, match.end(), self._option(match)

    def _call(self, match: re.Match[str], text: str) -> str | None:
        """Write a call as a command; None where it is none of ours, and Python where none fits."""
        name = match["name"]
        try:
            node: Any = ast.parse(text, mode="eval").body
        except (SyntaxError, ValueError):
            return None
        chain = node.func.attr if isinstance(node.func, ast.Attribute) else name
        args, keywords = list(node.args), {one.arg: one.value for one in node.keywords}
        run: tuple[str, ...] = ()
        if name in ("run.export", "run.report") or (name == "load_run" and chain != name):
            whose = [] if name.startswith("run.") else node.func.value.args[:1]
            run = (shell(whose[0]) if whose else shlex.quote(self.given.get("RUN", "RUN")),)
        plain = not (run or match["library"] or name in ("list_models", "predict"))
        if plain and not (_is_data(args[0]) if args else keywords):
            return None
        if name == "load_model" and "engine" in keywords and self.name("engine"):
            return f"--engine {shell(keywords['engine'])}"
        places: tuple[str, ...]
        if run:
            command, places = chain, ("MODEL",) if chain == "export" else ()
        elif name == "export":
            command, places, run = "export", ("MODEL",), ("RUN",)
            args = args[1:]
        elif name in DOORS:
            command, places = self._door(name)
        elif name in COMMANDS:
            command, places = COMMANDS[name]
        else:
            return f"{text}{IN_PYTHON}"
        said = self._arguments(command, places, run, args, keywords)
        return f"{text}{IN_PYTHON}" if said is None else said

    def _door(self, name: str) -> tuple[str, tuple[str, ...]]:
        """Return the command that reads data here, and how its arguments go with a door's."""
        command = self.command if self.command in ("check", "compare", "evaluate") else "train"
        return command, ("PATH", "pat") if name == "from_name_re" else ("PATH",)

    def _arguments(
        self,
        command: str,
        places: tuple[str, ...],
        run: tuple[str, ...],
        args: list[Any],
        keywords: dict[str | None, Any],
    ) -> str | None:
        """Write a command with its arguments; None where it has no such option."""
        given = dict(zip(places, args, strict=False))
        if len(args) > len(places):
            return None
        words = ["quickvision", command, *run]
        positional = [place for place in places if place != "pat"]
        if command in ("compare", "evaluate") and positional == ["PATH"]:
            positional = ["PATH", "MODELS"] if command == "compare" else ["MODEL", "PATH"]
        if command == "models" and not args:
            positional = []
        for place in positional:
            usual = self.given.get(place, place)
            usual = usual if place == "MODELS" else shlex.quote(usual)  # they are several
            words.append(shell(given[place]) if place in given else usual)
        options: dict[str | None, Any] = {"pat": given["pat"]} if "pat" in given else {}
        for name, value in {**options, **keywords}.items():
            found = self.options.get(command, {}).get(str(name))
            said = with_value(found, value) if found else None
            if said is None:
                return None
            words.append(said)
        return " ".join(words)

    def _option(self, match: re.Match[str]) -> str:
        """Write `name=value` as this command has it, or as another that has it does."""
        name, value, more = match["name"], match["value"] or "", match["more"] or ""
        for command in (self.command, "train", "export"):
            found = self.options.get(command, {}).get(name)
            said = found and with_text(found, value)
            if said:
                other = more.replace("None", "none").replace("'", "")
                return f"{'' if command == self.command else f'{command} '}{said}{other}"
        if name in ("arch", "archs") and self.command == "compare":
            return f"{value or 'MODELS'}{more}"
        return f"{name}={value}{more}{IN_PYTHON}"


def _kept(text: str, typed: tuple[str, ...]) -> list[tuple[int, int]]:
    """Return where a text is the user's: what was typed, and names in quotes.

    Quotes in our own calls and after `name=` do not count: those begin before.
    """
    words = {form for word in typed for form in (word, str(Path(word))) if re.search(r"[=(]", form)}
    spans = [m.span() for word in words for m in re.finditer(re.escape(word), text)]
    return spans + [
        m.span() for m in _QUOTED.finditer(text) if text[m.start() - 1 : m.start()] != "="
    ]


def _end_of_call(text: str, place: int) -> int:
    """Return where a call ends whose bracket opens at `place`, with what is chained; or -1."""
    depth, quote = 0, ""
    for i in range(place, len(text)):
        sign = text[i]
        if quote:
            quote = "" if sign == quote and text[i - 1] != "\\" else quote
        elif sign in "'\"":
            quote = sign
        elif sign in "([{":
            depth += 1
        elif sign in ")]}":
            depth -= 1
            if not depth:
                chained = re.match(r"\.(?:export|report)\(", text[i + 1 :])
                return _end_of_call(text, i + chained.end()) if chained else i + 1
    return -1


def _is_data(node: Any) -> bool:
    """Say whether it is what our calls begin with: a path in quotes, dots, or a word for one."""
    if isinstance(node, ast.Name):
        return node.id in ("data", "df", "dls", "folder", "learn", "path", "table")
    return isinstance(node, ast.Constant) and isinstance(node.value, str | type(...))


def _is_ours(text: str, match: re.Match[str], last: tuple[int, str]) -> bool:
    """Say whether `name=value` stands where our sentences put an option."""
    before, after, value = text[: match.start()], text[match.end() :], match["value"] or ""
    literal = value.lstrip("r")[:1] in ("'", '"', "{") or value in ("True", "False", "None")
    if _LEADS.search(before):
        return True
    if last[0] >= 0 and text[last[0] : match.start()] in (", ", " or ", " and "):
        return True
    if re.search(rf"^ or {match['name']}=", after):
        return True
    if literal and re.search(r"(?:\bas |: |\bof |\bgot )$", before):
        return True
    return bool(re.search(r"(?:: |, )$", before) and _VERBS.match(after))


def _said_once(text: str) -> str:
    """Leave out a command in brackets, or after `or`, that has just been said."""
    text = re.sub(r"(quickvision [^;()]*?[^;()\s])((?: \w+)*) \(\1\)", r"\1\2", text)
    return re.sub(r"(quickvision [^;,]*[^;,\s]), or:? \1(?=$|;)", r"\1", text)
