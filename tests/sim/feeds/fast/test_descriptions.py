"""What is read from the events that describe."""

from __future__ import annotations

import pytest

from feedmill.core.errors import DataError
from feedmill.core.events import EventBatch, Kind
from feedmill.sim.feeds.fast.descriptions import NONE, NOTHING, Descriptions


def item(name: str, payload: str) -> dict[str, object]:
    return {"kind": int(Kind.ITEM), "item_id": name, "payload": payload}


def described(*events: dict[str, object]) -> Descriptions:
    about = Descriptions()
    about.describe(EventBatch.rows(events))
    return about


CAT = '{"title": "x", "topics": ["cats", "dogs"], "author_id": "a", "duration_s": 32, "language": "en", '
CAT += '"publish_ms": 9}'


def test_a_video_is_its_topics_attributes_author_and_duration() -> None:
    about = described(item("v", CAT), item("w", '{"topics": ["dogs"], "language": "en"}'))
    assert about.labels[0].tolist() == [1, 2, NOTHING, 3, 0, 0, 0, 0]
    assert about.labels[1].tolist() == [2, NOTHING, NOTHING, 3, 0, 0, 0, 0]
    assert len(about.items.codes[0]) == 5
    assert set(about.items.codes[1]) < set(about.items.codes[0])
    assert about.author[0] != NONE
    assert about.author[1] == NONE
    assert about.publish_ms[:2].tolist() == [9, 0]
    assert about.is_on[:2].all()


def test_what_is_taken_down_keeps_its_row_and_its_description() -> None:
    about = described(item("v", CAT), item("v", '{"deleted": true}'), item("w", "{}"))
    assert about.items.row_of == {"v": 0, "w": 1}
    assert about.is_on[:2].tolist() == [False, True]
    assert about.duration_s[0] == 32


def test_to_be_told_again_changes_nothing() -> None:
    about, once = described(item("v", CAT), item("v", CAT)), described(item("v", CAT))
    assert about.items.codes == once.items.codes
    assert len(about.items) == 1


def test_people_are_their_attributes_in_columns() -> None:
    about = described(
        {"kind": int(Kind.USER), "user_id": "u", "payload": '{"city": "Lyon", "n": 3}'},
        {"kind": int(Kind.USER), "user_id": "t", "payload": '{"city": "Lyon", "age": "18-24"}'},
    )
    start, codes = about.users.columns()
    assert start.tolist() == [0, 1, 3]
    assert codes.tolist() == [0, 0, 1]
    assert about.users.columns(is_used=False)[0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("payload", ["[1]", "{", '"cat"'])
def test_a_description_is_a_json_object(payload: str) -> None:
    with pytest.raises(DataError, match="JSON object"):
        described(item("v", payload))
