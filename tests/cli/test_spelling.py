from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st

from quickvision.cli import commands, spelling
from quickvision.cli.told import spelling_for

PACKAGE = Path(spelling.__file__).parent.parent
COMMANDS = typer.main.get_command(commands.app).commands


def speller(*arguments):
    return spelling_for(COMMANDS, arguments)


TRAIN = speller("train", "photos")
CHECK = speller("check", "photos")
COMPARE = speller("compare", "photos", "resnet18", "resnet34", "--seeds", "3")
RESUME = speller("resume", "runs/x")
EVALUATE = speller("evaluate", "model", "test")
SUBMIT = speller("submit", "model", "test", "out.csv")
SERVE = speller("serve", "model", "--port", "80")
PREDICT = speller("predict", "model", "a.jpg")


@pytest.mark.parametrize(
    ("spell", "text", "said"),
    [
        (TRAIN, "with max_bad=0.34", "with --max-bad 0.34"),
        (
            TRAIN,
            "or train from nothing with weights=None",
            "or train from nothing with --weights none",
        ),
        (TRAIN, "try balance='weights' or 'oversample'", "try --balance weights or oversample"),
        (CHECK, "see resize='squish' or 'pad'", "see train --resize squish or pad"),
        (
            TRAIN,
            "half of them: flip=False turns that off",
            "half of them: --no-flip turns that off",
        ),
        (
            CHECK,
            "larger; cache=True makes epochs faster",
            "larger; train --cache makes epochs faster",
        ),
        (
            TRAIN,
            "views: goes with cached features, got cache_features=False",
            "--views goes with cached features, got --no-cache-features",
        ),
        (TRAIN, "expected mixup or cutmix, got both", "expected --mixup or --cutmix, got both"),
        (
            TRAIN,
            "weights: expected 'default', None or a file, got nothing at a.pth",
            "--weights: expected 'default', 'none' or a file, got nothing at a.pth",
        ),
        (
            TRAIN,
            "a smaller size= or fewer batch_tfms= would help",
            "a smaller --size or fewer batch_tfms= (in Python) would help",
        ),
        (TRAIN, "say groups=, or vocab=", "say --groups, or vocab= (in Python)"),
        (
            CHECK,
            r"keep them together with groups=r'^(\d+)_'",
            r"keep them together with --groups '^(\d+)_'",
        ),
        (
            TRAIN,
            r"keep them together with groups=re.compile(r'^(\d+)_')",
            r"keep them together with groups=re.compile(r'^(\d+)_') (in Python)",
        ),
        (
            SUBMIT,
            "counted as, first=0 or first=1; or positive='b c'",
            "counted as, --first 0 or --first 1; or --positive 'b c'",
        ),
        (
            SUBMIT,
            "ids: goes without like, whose columns",
            "--ids goes without --like, whose columns",
        ),
        (SUBMIT, "id_col= and label_col= say which", "--id-col and --label-col say which"),
        (
            EVALUATE,
            "give names with class_names={'b': ...}, or go on with skip_unknown=True",
            "give names with --class-names FILE, or go on with --skip-unknown",
        ),
    ],
)
def test_options_are_spelled_as_the_command_at_hand_has_them(spell, text, said):
    assert spell(text) == said
    assert spell(said) == said


@pytest.mark.parametrize(
    ("spell", "text", "said"),
    [
        (TRAIN, "; qv.list_models() lists them", "; quickvision models lists them"),
        (
            CHECK,
            r"labels: from_name_re('my photos', r'^(.+)_\d+\.jpg$')",
            r"labels: quickvision check 'my photos' --pattern '^(.+)_\d+\.jpg$'",
        ),
        (
            TRAIN,
            "take qv.from_folder('a/b', valid='val'), or",
            "take quickvision train a/b --valid val, or",
        ),
        (COMPARE, "take from_folder('a'); or", "take quickvision compare a resnet18 resnet34; or"),
        (
            EVALUATE,
            "or from_name_re('x', pattern)",
            "or quickvision evaluate model x --pattern PATTERN",
        ),
        (
            TRAIN,
            "as qv.from_csv('t.csv', label_col='dx')",
            "as qv.from_csv('t.csv', label_col='dx') (in Python)",
        ),
        (
            RESUME,
            "resume('runs/x', more_epochs=3) adds, or: quickvision resume runs/x --more-epochs 3",
            "quickvision resume runs/x --more-epochs 3 adds",
        ),
        (
            RESUME,
            "finish it with resume('runs/x') (quickvision resume runs/x), and then",
            "finish it with quickvision resume runs/x, and then",
        ),
        (
            RESUME,
            "where to: resume('runs/x', data=...), or quickvision resume runs/x --data ...",
            "where to: quickvision resume runs/x --data ...",
        ),
        (
            EVALUATE,
            "got a run's; load_run('runs/x').export('m') writes one (quickvision export runs/x m)",
            "got a run's; quickvision export runs/x m writes one",
        ),
        (EVALUATE, "run.export('m') writes one", "quickvision export RUN m writes one"),
        (RESUME, "load_run('a b').report() tries again", "quickvision report 'a b' tries again"),
        (
            RESUME,
            "export(..., onnx=True) writes it",
            "quickvision export RUN MODEL --onnx writes it",
        ),
        (RESUME, "resume with before=True (--before)", "resume with --before"),
        (PREDICT, "export with onnx=True (--onnx)", "export with --onnx"),
        (PREDICT, "load_model(..., engine='torch') opens it", "--engine torch opens it"),
        (SERVE, "alone; --lan (lan=True) lets phones in", "alone; --lan lets phones in"),
        (SERVE, "give another, as --port 81 (port=)", "give another, as --port 81"),
    ],
)
def test_calls_become_commands_and_are_said_once(spell, text, said):
    assert spell(text) == said
    assert spell(said) == said


def test_what_a_run_holds_becomes_its_files():
    summary = (
        "best epoch   frozen 3, 98.0%: run.learn.load('best') goes back to it\n"
        "left out     1 picture, see run.skipped\nwritten to   runs/my run-001"
    )
    assert TRAIN(summary) == (
        "best epoch   frozen 3, 98.0%: runs/my run-001/checkpoints/best.pth has it, and quickvision"
        " export 'runs/my run-001' MODEL --best writes it as a model\n"
        "left out     1 picture, see runs/my run-001/skipped.csv\nwritten to   runs/my run-001"
    )
    assert TRAIN("no; see dls.skipped") == "no; skipped.csv in the run's folder lists them"
    assert CHECK("no; see dls.skipped") == "no; quickvision check photos --json lists them"
    assert (
        TRAIN("9 pictures in test, left alone: dls.test_files") == "9 pictures in test, left alone"
    )


@pytest.mark.parametrize(
    "text",
    [
        "expected a folder of pictures, got nothing at valid=1",
        "expected a folder of pictures, got train(2)",
        "left out 2 of 9 pictures: lr=0.1/train(1).jpg (not a picture), check('a').png",
        "classes      3: lr=0.1 12, lr=0.01 14, valid=1 3",
        "got 1 of size=32, bs=8 and 3 more",
        "did you mean 'train(2)' or 'with size=32 of it'?",
        "report(s) of resume(d) runs, export(x).jpg",
    ],
)
def test_names_that_look_like_ours_stay(text):
    assert TRAIN(text) == text


def test_what_was_typed_stays_and_a_pattern_comes_back_as_it_was():
    spell = speller("train", "./with bs=8", "--pattern", r"(.+)\d.png")
    text = r"expected '(.+)\\d.png' to match, got nothing in with bs=8; give it with bs=16"
    said = r"expected '(.+)\d.png' to match, got nothing in with bs=8; give it with --bs 16"
    assert spell(text) == said


OURS = re.compile(
    r"=|\(|run\.|dls\.|learn\.|from_|\bbut\b|lower|goes without|weights:|^\w+(, \w+)*:"
)


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_other_text_is_returned_as_it_is(text):
    if not OURS.search(text):
        assert TRAIN(text) == text


WORDS = st.sampled_from(
    [*"=()'\",;: ./\\[}1", "train", "valid", "size", "with ", "qv.", "run.", "skipped", "True"]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(WORDS).map("".join))
def test_twice_is_as_good_as_once(text):
    assert TRAIN(TRAIN(text)) == TRAIN(text)


# What writes programs, reads files, or is never said: literals there are no messages.
PROGRAMS = {
    "runs/script.py", "runs/spoken.py", "runs/keys.py", "models/loading.py", "models/head.py",
    "models/body.py", "models/native.py", "models/compute.py", "models/optimisers.py",
    "models/losses.py", "training/schedules.py",
}  # fmt: skip
# Said in Python on purpose: none of these has a command.
ON_PURPOSE = (
    "(in Python)",  # a call or an option that no command has is marked
    "import ",  # a program of several lines, for tables and bands
    *("pd.read_", "keep_default_na=False", ", header=None"),  # parts of such a program
    "valid=lambda",  # a list of names: a function holds them out
)
MARKS = re.compile(
    r"\bqv\.|\brun\.\w|\bdls\.\w|\blearn\.\w|=True|=False|=None"
    rf"|(?<!\w)(?:{'|'.join((*spelling.DOORS, *spelling.COMMANDS))})\((?!\))"
)


def literals():
    """Each text of the package that is no docstring, with values in its places."""
    for file in sorted(PACKAGE.rglob("*.py")):
        name = file.relative_to(PACKAGE).as_posix()
        if name in PROGRAMS or name.startswith("cli/"):
            continue
        tree = ast.parse(file.read_text(encoding="utf-8"))
        skipped = {
            id(part)
            for node in ast.walk(tree)
            for part in ast.walk(node)
            if isinstance(node, ast.JoinedStr) and part is not node
        }
        skipped |= {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
        for node in ast.walk(tree):
            if id(node) not in skipped and (text := _text(node)) and " " in text:
                yield pytest.param(text, id=f"{name}:{node.lineno}")


def _text(node):
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    if not isinstance(node, ast.JoinedStr):
        return ""
    said = ""
    for part in node.values:
        if isinstance(part, ast.Constant):
            said += part.value
        elif part.conversion == ord("r"):
            said += "'some'"
        elif not re.search(r"[\w']$", said):  # put right behind a word: its end, or more arguments
            said += "12"
    return said


SAID = [param for param in literals() if MARKS.search(param.values[0])]


@pytest.mark.parametrize("text", SAID)
def test_no_message_of_the_package_speaks_python_on_the_command_line(text):
    for spell in (TRAIN, CHECK, RESUME, EVALUATE, SUBMIT, SERVE):
        said = spell(text)
        if not any(purpose in said for purpose in ON_PURPOSE):
            assert not MARKS.search(said), said


def test_there_are_messages_to_look_at():
    assert len(SAID) > 30


def test_it_loads_neither_torch_nor_numpy():
    code = (
        "import sys, quickvision.cli.told; print({'torch', 'numpy', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
