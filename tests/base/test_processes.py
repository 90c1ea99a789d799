"""One process, and what each of several would do; `test_distributed` starts some."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils.data import TensorDataset

from quickvision.base import processes
from quickvision.base.errors import OtherProcessError


@pytest.fixture
def second_of_three(monkeypatch):
    """Be the second of three processes, which hears from the first what is in `said`."""
    said = []
    monkeypatch.setattr(processes, "world_size", lambda: 3)
    monkeypatch.setattr(processes, "rank", lambda: 1)
    monkeypatch.setattr(processes, "share", lambda value: said.pop())
    return said


def test_one_process_is_the_first_of_one_and_sends_nothing():
    assert (processes.rank(), processes.world_size()) == (0, 1)
    value, model = torch.ones(2), nn.Linear(2, 2)
    before = model.weight.clone()
    assert processes.share(value) is value
    assert processes.everyones("a") == ["a"]
    assert processes.mean(value) is value
    processes.spread_weights(model)
    assert torch.equal(model.weight, before)
    assert list(processes.in_step("ab")) == [[(0, "a")], [(0, "b")]]
    loader = object()
    assert processes.share_of(loader) is loader


def test_several_are_there_where_a_launcher_says_so(monkeypatch):
    assert not processes.started_by_launcher()
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert not processes.started_by_launcher()
    monkeypatch.setenv("RANK", "1")
    assert processes.started_by_launcher()
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert not processes.started_by_launcher()
    processes.join()  # there is nobody to join


def test_what_is_done_once_is_done_once():
    done = []
    assert processes.by_first(lambda: done.append(1) or 7) == 7
    assert processes.first_then_others(lambda: done.append(2) or 8) == 8
    assert done == [1, 2]
    with pytest.raises(KeyError, match="mine"):
        processes.by_first(lambda: {}["mine"])


def test_nothing_is_an_answer_too():
    done = []
    assert processes.first_then_others(lambda: done.append(1)) is None
    assert done == [1]


def test_the_others_wait_for_the_first_and_fail_with_it(second_of_three):
    done = []
    second_of_three[:] = [("found", None)]
    assert processes.by_first(lambda: done.append(1)) == "found"
    assert done == []
    second_of_three[:] = [(None, None)]
    assert processes.first_then_others(lambda: done.append(1) or "mine") == "mine"
    assert done == [1]
    second_of_three[:] = [(None, "no such folder")]
    with pytest.raises(OtherProcessError, match="the first process has failed: no such folder"):
        processes.by_first(lambda: done.append(2))
    assert done == [1]


def test_all_pictures_are_somebodys_and_none_is_twos(second_of_three):
    for n in (1, 3, 7, 100):
        parts = processes.parts_of(n)
        assert [i for part in parts for i in part] == list(range(n))
        assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_a_process_sees_its_own_part_of_a_loader_in_its_order(second_of_three):
    from fastai.data.load import DataLoader

    numbers = TensorDataset(torch.arange(8))
    own = processes.share_of(DataLoader(numbers, bs=2, shuffle=True, num_workers=0))
    assert [int(x) for (batch,) in own for x in batch] == [2, 3, 4]
