from __future__ import annotations

import re


def test_train_groups_its_options(command):
    said = command("train", "--help").stdout
    titles = re.findall(r"^(\w.*):$", said, re.MULTILINE)
    assert titles == ["Arguments", "Data", "Model", "Training", "Speed and report", "Options"]
    assert said.index("Training:") < said.index("--frozen-epochs") < said.index("Speed and report:")
    assert re.search(r"--\[no-\]flip +Mirror half of the training pictures\.  \[on\]", said)
    assert re.search(r"--resize WORD .*\n +crop, squish, pad  \[crop\]\n", said)


def test_a_short_list_has_no_groups(command):
    said = command("check", "--help").stdout
    assert re.findall(r"^(\w.*):$", said, re.MULTILINE) == ["Arguments", "Options"]
