from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from quickvision.base.templates import environment


@pytest.mark.parametrize(("room", "name"), [("runs", "script.py.jinja"), ("ship", "card.md.jinja")])
def test_a_rooms_templates_are_found(room, name):
    assert name in environment(room).list_templates()


def test_a_name_that_is_not_known_is_an_error():
    with pytest.raises(UndefinedError, match="nobody"):
        environment("runs").from_string("{{ nobody }}").render()


def test_lines_stay_as_they_stand():
    made = environment("runs").from_string("a\n  {% if on %}\nb <i>\n  {% endif %}\n")
    assert made.render(on=True) == "a\nb <i>\n"
