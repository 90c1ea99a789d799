from __future__ import annotations

import pandas as pd

from quickvision.data.tables import list_csv
from quickvision.data.wording import Call, Table
from tests.made import files, table


def test_a_call_leaves_out_what_is_not_said():
    call = Call("qv.from_csv('t.csv'", {"images": "x", "suffix": None})
    assert call(label_col=1) == "qv.from_csv('t.csv', images='x', label_col=1)"
    assert call(images=None) == "qv.from_csv('t.csv')"


def test_rows_and_columns_by_name():
    frame = pd.DataFrame({"a": ["x"] * 8})
    one = Table(frame, list(range(2, 10)), "t.csv", Call("f("))
    assert one.column("a") == "column 'a' of t.csv"
    assert one.column(3) == "column number 3 of t.csv"
    assert one.rows([True] + [False] * 7) == "row 2"
    assert one.rows([True] * 8) == "rows 2, 3, 4, 5, 6 and 3 more"


def test_pandas_reads_what_we_read(tmp_path):
    lines = ["# ours", "", "id;word", *(f"{i:02d}.jpg; NA" for i in range(4))]
    path = table(tmp_path / "t.csv", lines)
    files(tmp_path, [f"{i:02d}.jpg" for i in range(4)])
    assert list_csv(path).labels == ["NA"] * 4
    frame = pd.DataFrame({"id": [], "word": []})
    one = Table(frame, [4], str(path), Call("qv.from_csv('x'"), separator=";")
    made: dict[str, pd.DataFrame] = {}
    exec(one.as_frame(), made)
    assert made["df"].to_numpy().tolist() == [[f"{i:02d}.jpg", "NA"] for i in range(4)]
