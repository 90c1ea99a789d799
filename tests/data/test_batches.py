from __future__ import annotations

import pytest

import quickvision as qv
from quickvision.data.batches import batches


@pytest.mark.parametrize(
    ("n", "sizes"),
    [
        (3, [3]),
        (5, [3, 2]),
        (20, [5] * 4),
        (63, [8] * 7 + [7]),
        (64, [8] * 8),
        (73, [9] * 8),  # batch norm cannot train on a single picture
        (101, [8] * 12 + [5]),
        (257, [8] * 32),
        (700, [16] * 43),
        (2_000, [32] * 62),
        (2_600, [64] * 40),
        (10_000, [64] * 156),
    ],
)
def test_by_default_an_epoch_has_several_steps_and_leaves_little_out(n, sizes):
    bs, drop_last = batches(None, n)
    full, rest = divmod(n, bs)
    assert [bs] * full + ([rest] if rest and not drop_last else []) == sizes


@pytest.mark.parametrize(
    ("bs", "n", "said"),
    [
        (64, 100, "bs=64 makes 1 step an epoch of 100 training pictures, and leaves 36 of them"),
        (64, 64, "bs=64 makes 1 step an epoch of 64 training pictures; without bs="),
        (50, 149, "and leaves 49 of them out"),
        (64, 40, "bs lowered from 64 to 10"),
    ],
)
def test_a_batch_size_that_wastes_pictures_is_said(bs, n, said):
    with pytest.warns(qv.DataWarning, match=said):
        batches(bs, n)
