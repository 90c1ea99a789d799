from __future__ import annotations

import os
import zipfile

import pytest
import torch

import quickvision as qv
from quickvision.runs.checkpoints import load_checkpoint, save_checkpoint


def flip(file):
    """Change one byte of the first tensor."""
    data = bytearray(file.read_bytes())
    with zipfile.ZipFile(file) as parts:
        info = max(parts.infolist(), key=lambda part: part.file_size)
    data[info.header_offset + 200] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(file.read_bytes()[:5000]),
        lambda file: file.write_bytes(b""),
        flip,
        lambda file: torch.save(torch.nn.Linear(2, 2), file),
        lambda file: torch.save([1], file),
    ],
    ids=["cut short", "empty", "one bit", "code", "no checkpoint"],
)
def test_a_damaged_checkpoint_is_said_and_the_one_before_it_offered(stopped, damage):
    last = stopped / "checkpoints" / "last.pt"
    damage(last)
    spoilt = last.read_bytes()
    with pytest.raises(qv.RunError, match=r"last.pt.*the one before it, before.pt, is whole"):
        qv.resume(stopped, verbose=False)
    assert last.read_bytes() == spoilt
    assert len(qv.resume(stopped, before=True, verbose=False).history) == 4


def test_code_in_a_checkpoint_never_runs(stopped, tmp_path):
    class Bad:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "owned"),)

    for name in ("last.pt", "before.pt"):
        torch.save({"rows": Bad()}, stopped / "checkpoints" / name)
    with pytest.raises(qv.RunError, match="expected a checkpoint of tensors and plain values"):
        qv.resume(stopped, verbose=False)
    assert not (tmp_path / "owned").exists()


def test_a_kill_between_two_renames_costs_an_epoch(tmp_path):
    save_checkpoint(tmp_path, {"rows": [1]})
    save_checkpoint(tmp_path, {"rows": [1, 2]})
    (tmp_path / "last.pt").unlink()
    assert load_checkpoint(tmp_path) == {"rows": [1]}
    (tmp_path / "before.pt").unlink()
    assert load_checkpoint(tmp_path) is None
