"""Request bodies: read within a limit, decoded, and checked against a struct."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar

import anyio
import msgspec
from msgspec import Meta
from starlette.requests import Request

from feedmill.core.config import nearest
from feedmill.core.errors import DataError
from feedmill.serve.problems import TooLarge, TooSlow, WrongType

S = TypeVar("S", bound=msgspec.Struct)
MB = 1 << 20
JSON = "application/json"
Id = str | int
READ_S = 10.0  # who sends slower than that only holds a place
MAX_CURSOR = 1 << 17  # characters; of 20,000 items it has fewer
MAX_CONTEXT = 32  # names
Word = Annotated[str, Meta(max_length=256)]


class FeedBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What a feed is asked with."""

    user_id: Annotated[Id, Meta(description='text or whole number; 7 and "7" are the same user')]
    n: Annotated[int, Meta(description="items wanted, 1 to 500")] = 10
    cursor: Annotated[str, Meta(max_length=MAX_CURSOR, description="from the answer before, for the page after it")] = (
        ""
    )
    context: Annotated[
        dict[Word, Word],
        Meta(max_length=MAX_CONTEXT, description="what else is known of the request, such as device"),
    ] = {}
    deadline_ms: Annotated[float | None, Meta(description="budget; stages that would start later are skipped")] = None


class SearchBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is searched for."""

    query: Annotated[str, Meta(description="words in any script, at most 256 characters")]
    user_id: Annotated[Id, Meta(description='who searches, so that the feed knows; "" = it is not logged')] = ""
    n: Annotated[int, Meta(description="items wanted, 1 to 500")] = 10


class SimilarQuery(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What may follow the ? of /v1/similar/{item_id}."""

    n: Annotated[int, Meta(description="items wanted, 1 to 500")] = 10


class EventBody(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """One event; ``POST /v1/events`` takes one or a list."""

    kind: Annotated[
        str,
        Meta(
            max_length=32,
            description="impression click like favourite share comment follow watch finish dislike search item user",
        ),
    ]
    user_id: Annotated[Id, Meta(description='who; "" for an event of kind item')] = ""
    item_id: Annotated[Id, Meta(description='what; "" for kinds search and user')] = ""
    time_ms: Annotated[int | None, Meta(description="milliseconds since 1970 UTC; left out = now")] = None
    value: Annotated[float | None, Meta(description="watch: seconds; ratings: the rating; else 1")] = None
    request_id: Annotated[str, Meta(description="of the feed that showed the item")] = ""
    position: Annotated[int, Meta(description="slot in that feed, -1 = none")] = -1
    event_id: Annotated[str, Meta(description="sent twice, it is taken once")] = ""
    payload: Annotated[str | dict[str, Any], Meta(description="search: the text; item and user: attributes")] = ""


async def read(request: Request, limit: int) -> bytes:
    """The body.

    Raises:
        WrongType: it says that it is not JSON, or that it is packed. One that says nothing is taken for JSON.
        TooSlow: it did not come within ``READ_S`` seconds.
        TooLarge: more than ``limit`` bytes, of which no more than that were read.
    """
    _check_type(request.headers.get("content-type", JSON), request.headers.get("content-encoding", "identity"))
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > limit:
        raise _too_large(int(said), limit)
    body = bytearray()
    try:
        with anyio.fail_after(READ_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise _too_large(len(body), limit)
    except TimeoutError:
        raise TooSlow(
            f"{len(body)} bytes in {READ_S:g} seconds", "the whole body by then", "send it in parts"
        ) from None
    return bytes(body)


def parse(body: bytes) -> Any:
    """A body as JSON.

    Raises:
        DataError: it is not JSON.
    """
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as e:
        start = body[:60].decode("utf-8", "replace")
        raise DataError(
            f"a body that is not JSON: {e}; it begins {start!r}",
            "a JSON body in UTF-8",
            "see /openapi.json for an example",
        ) from None


def query(request: Request) -> dict[str, Any]:
    """What follows the ? of a path; whole numbers as such, of a name given twice the last."""
    values = request.query_params.items()
    return {name: int(v) if re.fullmatch(r"-?[0-9]{1,18}", v) else v for name, v in values}


def convert(raw: Any, kind: type[S]) -> S:
    """Raw JSON -> a checked struct.

    Raises:
        DataError: an unknown field (with the nearest), a missing one, or a wrong type.
    """
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as e:
        raise _reason(raw, kind, str(e)) from None


def _reason(raw: Any, kind: type[msgspec.Struct], said: str) -> DataError:
    """What msgspec found, with what was given and what to do."""
    if not isinstance(raw, dict):
        return DataError(_shown(raw), "a JSON object", "see /openapi.json for an example")
    known = {f.encode_name: f for f in msgspec.structs.fields(kind)}
    for name in raw:
        if name not in known:
            return DataError(f'unknown field "{name[:80]}"', f"one of {sorted(known)}", nearest(name[:80], known))
    for name, field in known.items():
        if field.required and name not in raw:
            expected = msgspec.json.schema(field.type).get("description", "a value")
            return DataError(f'no field "{name}"', expected, f'add "{name}"')
    what, _, where = said.partition(" - at `$.")
    name = where.partition("`")[0].partition(".")[0].partition("[")[0]
    return DataError(f"{name} = {_shown(raw.get(name))}", what, "see /openapi.json")


def _shown(value: Any) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else f"{text[:77]}…"


def _check_type(kind: str, packing: str) -> None:
    """A page of another site can make a browser send forms and plain text here, and not JSON."""
    kind, _, more = kind.partition(";")
    charset = more.strip().lower().removeprefix("charset=").strip('"')
    if kind.strip().lower() != JSON or charset not in ("", "utf-8"):
        raise WrongType(
            f"content-type: {kind[:60]}{'; ' if more else ''}{more.strip()[:20]}",
            JSON,
            f"send -H 'content-type: {JSON}'",
        )
    if packing.strip().lower() != "identity":
        raise WrongType(f"content-encoding: {packing[:40]}", "a body that is not packed", "send it as it is")


def _too_large(n: int, limit: int) -> TooLarge:
    return TooLarge(f"a body of {n} bytes or more", f"at most {limit} bytes", "send it in parts")
