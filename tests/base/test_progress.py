from __future__ import annotations

import threading
import time

import pytest

from quickvision.base import progress as parallel
from quickvision.base.progress import Lines, mapped, say, spelled, spoken


def test_results_come_in_order(monkeypatch):
    monkeypatch.setattr(parallel, "AHEAD", 3)
    assert list(mapped(lambda x: x * x, range(10), "squares")) == [x * x for x in range(10)]
    assert list(mapped(str, [], "nothing")) == []


def test_an_error_comes_through_and_the_rest_is_not_begun(monkeypatch):
    begun, hold = [], threading.Event()

    def work(x):
        begun.append(x)
        if x == 0:
            raise KeyError("first")
        hold.wait(0.05)

    with pytest.raises(KeyError):
        list(mapped(work, range(1000), "work"))
    time.sleep(0.2)
    assert len(begun) < 100


def test_named_lines_are_aligned_in_text_and_escaped_in_html():
    lines = Lines({"left out": "2 pictures", "<b>": "a & b\nc"})
    assert str(lines) == "left out     2 pictures\n<b>          a & b\n             c"
    assert lines == {"left out": "2 pictures", "<b>": "a & b\nc"}
    shown = lines._repr_html_()
    assert (shown.count("<tr>"), shown.count("<b>")) == (2, 0)
    assert "&lt;b&gt;" in shown
    assert "a &amp; b<br>c" in shown


def test_what_is_said_meanwhile_is_written_in_other_words(capsys):
    with spoken(str.upper):
        say("12 wrens")
        assert list(mapped(spelled, ["a", "b"], "words")) == ["A", "B"]  # in threads, too
        with spoken(str.title):
            say("12 wrens")
        with pytest.raises(KeyError), spoken(str.title):
            raise KeyError("bird")
        say("13 wrens", verbose=False)
    say("12 wrens")
    assert capsys.readouterr().out == "12 WRENS\n12 Wrens\n12 wrens\n"
