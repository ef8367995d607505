"""Files of every format, whole and broken: what is a row is read, what is not is told of with its line."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feedmill.core.errors import DataError
from feedmill.datasets import csv_rows
from feedmill.datasets.rows import LIST, read_rows, row_json

Bad = list[tuple[int, str, str]]


def read(path: Path, separator: str = "") -> tuple[list[dict[str, Any]], list[int], Bad]:
    """The rows that have something, their lines, and what is malformed."""
    rows, lines, bad = list[dict[str, Any]](), list[int](), Bad()
    for chunk in read_rows(path, lambda *what: bad.append(what), separator):
        rows += [{k: v for k, v in row.items() if v is not None} for row in chunk.columns.to_dicts()]
        lines += chunk.lines.tolist()
    return rows, lines, bad


def test_csv(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'\xef\xbb\xbfuser,n\r\nanna,1\r\n"b, c",\r\n"say ""hi""",5" disk\r\nNULL,NaN')
    rows, lines, bad = read(tmp_path / "a.csv")
    assert rows == [
        {"user": "anna", "n": "1"},
        {"user": "b, c", "n": ""},
        {"user": 'say "hi"', "n": '5" disk'},
        {"user": "NULL", "n": "NaN"},
    ]
    assert (lines, bad) == ([2, 3, 4, 5], [])


def test_odd_csv_rows_are_set_aside_and_the_rest_goes_on(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b'a,b\n1,2\n\n4\n"x\ny",5\n6,7,8\n9,\xff\n"q"r,1\n3,"unclosed\n10,11\n12,13\n')
    rows, lines, bad = read(tmp_path / "a.csv")
    assert [tuple(row.values()) for row in rows] == [("1", "2"), ("x\ny", "5"), ("10", "11"), ("12", "13")]
    assert lines == [2, 5, 11, 12]
    assert [(line, text) for line, _, text in bad] == [
        (4, "4"),
        (7, "6,7,8"),
        (8, "9,\\xff"),
        (9, '"q"r,1'),
        (10, '3,"unclosed'),
    ]
    assert [reason.partition(":")[0] for _, reason, _ in bad] == [
        "wrong number of fields",
        "wrong number of fields",
        "not UTF-8",
        "not CSV",
        "not CSV",
    ]


@pytest.mark.parametrize("odd", ["7,8,9", "", '"two\nlines",0', '"open,1'])
def test_an_odd_row_far_down_is_found_by_its_line(odd: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "_BLOCK_BYTES", 64)  # so that blocks before it are read the fast way
    before, after = [f"{k},x" for k in range(300)], [f"{k},y" for k in range(300)]
    (tmp_path / "a.csv").write_text("\n".join(["k,v", *before, odd, *after]))
    rows, lines, bad = read(tmp_path / "a.csv")
    good = [f"{row['k']},{row['v']}" for row in rows if "\n" not in row["k"]]
    assert good == before + after
    assert lines[:300] == list(range(2, 302))
    assert lines[-300:] == [n + odd.count("\n") for n in range(303, 603)]
    assert [line for line, _, _ in bad] == ([302] if odd in ("7,8,9", '"open,1') else [])


@given(st.lists(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0")), min_size=2, max_size=2)))
def test_any_csv_comes_back(tmp_path_factory: pytest.TempPathFactory, table: list[list[str]]) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows([["a", "b"], *table])
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(text.getvalue().encode())
    rows, _, bad = read(path)
    assert bad == []
    assert [[row["a"], row["b"]] for row in rows] == table


def test_tab_and_other_separators(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a\tb,c\n1\t2\n")
    assert read(tmp_path / "a.tsv")[0] == [{"a": "1", "b,c": "2"}]
    (tmp_path / "a.csv").write_text("a;b,c\n1;2\n")
    assert read(tmp_path / "a.csv", ";")[0] == [{"a": "1", "b,c": "2"}]


def test_gzip(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n3\n", mtime=0))
    assert read(tmp_path / "a.csv.gz") == (
        [{"a": "1", "b": "2"}],
        [2],
        [(3, read(tmp_path / "a.csv.gz")[2][0][1], "3")],
    )
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b'{"a":1}\n', mtime=0))
    assert read(tmp_path / "a.jsonl.gz")[0] == [{"a": "1"}]


def test_json_lines(tmp_path: Path) -> None:
    lines = [
        {"a": "x", "n": 7, "f": 7.0, "g": 1.5, "yes": True, "no": None, "list": ["p", 2], "in": {"k": 1}},
        {"b": "ä"},
    ]
    (tmp_path / "a.jsonl").write_text("\n".join([json.dumps(lines[0]), "", "{", "[1]", json.dumps(lines[1])]))
    rows, at, bad = read(tmp_path / "a.jsonl")
    assert rows == [
        {"a": "x", "n": "7", "f": "7", "g": "1.5", "yes": "true", "list": f"{LIST}p{LIST}2", "in": '{"k":1}'},
        {"b": "ä"},
    ]
    assert at == [1, 5]
    assert [(line, reason.partition(":")[0], text) for line, reason, text in bad] == [
        (3, "not JSON", "{"),
        (4, "not a JSON object", "[1]"),
    ]


def test_parquet(tmp_path: Path) -> None:
    when = dt.datetime(2024, 1, 2, 3, 4, 5)
    table = pa.table(
        {
            "i": [7, None],
            "f": [7.0, float("nan")],
            "g": [1.5, 2.0**60],
            "t": [when, None],
            "z": pa.array([when, None], pa.timestamp("us", "UTC")),
            "l": [["p", "q"], []],
            "d": pa.array(["x", None]).dictionary_encode(),
        }
    )
    pa.parquet.write_table(table, tmp_path / "a.parquet")
    rows, lines, bad = read(tmp_path / "a.parquet")
    assert rows[0] == {
        "i": "7",
        "f": "7",
        "g": "1.5",
        "t": "2024-01-02 03:04:05.000000",
        "z": "2024-01-02 03:04:05.000000Z",
        "l": f"{LIST}p{LIST}q",
        "d": "x",
    }
    assert (lines, bad) == ([1, 2], [])


def test_a_row_is_shown_as_json(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a":"x","l":["p"],"none":""}')
    (chunk,) = read_rows(tmp_path / "a.jsonl", lambda *what: None)
    assert row_json(chunk.columns, 0) == '{"a":"x","l":["p"]}'


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.xlsx", b"", "no known format"),
        ("events", b"", "no known format"),
        ("a.parquet.gz", b"", "no known format"),
        ("a.csv", b"", "is empty"),
        ("a.csv", b"a,b,a\n", r"named twice: \['a'\]"),
        ("a.csv", "user_id,item_id\n".encode("utf-16"), "UTF-16"),
        ("a.csv", "user_id,item_id\n".encode("utf-16-be"), "UTF-16"),
        ("a.csv", "größe,b\n1,2\n".encode("latin-1"), "not UTF-8"),
        ("a.csv", b"a," * 100_000 + b"x" * 200_000, "has no header"),
        ("a.parquet", b"not parquet", "cannot be read"),
        ("a.csv.gz", gzip.compress(b"a,b\n" * 9, mtime=0)[:-9], "cannot be read"),
        ("a.jsonl.gz", b"not gzip", "cannot be read"),
    ],
)
def test_a_file_that_cannot_be_read_says_so(name: str, content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=said):
        read(tmp_path / name)


def test_what_is_not_utf8_says_how_to_convert_it(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user_id,item_id\n1,2\n", "utf-16")
    with pytest.raises(DataError) as caught:
        read(tmp_path / "a.csv")
    assert "iconv -f UTF-16 -t UTF-8 a.csv" in caught.value.fix
    str(caught.value).encode()  # can be printed


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.csv.gz", "a.parquet"])
@given(
    content=st.binary()
    | st.lists(st.sampled_from([b"a", b",", b'"', b"\r", b"\n", b"\0", b"\xff", b"{"])).map(b"".join)
)
def test_any_bytes_are_rows_or_a_data_error(
    name: str, content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / name
    path.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
    try:
        read(path)
    except DataError as e:
        str(e).encode()


def test_columns_of_parquet_named_twice(tmp_path: Path) -> None:
    pa.parquet.write_table(pa.Table.from_arrays([[1], [2]], names=["a", "a"]), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="named twice"):
        read(tmp_path / "a.parquet")


def test_no_such_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*a\.csv"):
        read(tmp_path / "a.csv")
