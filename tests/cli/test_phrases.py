from __future__ import annotations

import pytest

from quickvision.cli.phrases import of_files, of_options
from quickvision.cli.values import Named


def test_a_run_is_its_folder():
    text = "see run.skipped; run.learn.load('frozen-end') goes back to the frozen stage's end"
    said = "see runs/x/skipped.csv; runs/x/checkpoints/frozen-end.pth has the frozen stage's end"
    assert of_files(text, "resume", {"RUN": "runs/x"}) == said
    assert of_files("see run.skipped", "demo", {}) == "see skipped.csv"
    wrong = "a.jpg (called bee) and 4 more: run.wrong() lists all"
    said = "a.jpg (called bee) and 4 more: runs/x/predictions.csv has all"
    assert of_files(wrong, "train", {"RUN": "runs/x"}) == said
    assert of_files("run.learn.load('best') goes back to it", "train", {}) == (
        "checkpoints/best.pth has it, and quickvision export RUN MODEL --best writes it as a model"
    )


@pytest.mark.parametrize("command", ["check", "compare", "evaluate"])
def test_where_there_is_no_run_the_check_lists_what_was_left_out(command):
    said = "left out 2; quickvision check 'my photos' --json lists them"
    assert of_files("left out 2; see dls.skipped", command, {"PATH": "my photos"}) == said


def test_options_at_a_sentences_head_and_doors_without_brackets():
    options = {"bs": Named("--bs"), "bs_more": Named("--bs-more")}
    assert of_options("bs_more, bs: goes with it", options) == "--bs-more, --bs goes with it"
    assert of_options("bs: expected 2, got 1", options) == "--bs: expected 2, got 1"
    assert of_options("none; lower bs", options) == "none; lower --bs"
    assert of_options("bs/a.png: bad", options) == "bs/a.png: bad"
    assert of_options("got one; use from_name_re", {}) == "got one; use --pattern"
