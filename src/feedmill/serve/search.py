"""POST /v1/search: items for words, through the channel that reads texts."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from feedmill.core.errors import ArtifactError, DataError, NotFoundError
from feedmill.core.events import EventBatch, Kind
from feedmill.core.request import FeedItem, FeedRequest
from feedmill.core.workspace import Workspace
from feedmill.retrieval.text import QUERY, TextChannel
from feedmill.serve.pipeline import Chain

MAX_QUERY = 256  # characters; the state keeps no more of a search either
_MORE = 100  # items asked for beside those wanted, which filters may take


class SearchResponse(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: items best first, each with the cosine of its text and the query as its value."""

    request_id: str
    user_id: str
    query: str
    items: list[FeedItem]
    degraded: list[str] = []
    version: str = ""


def check_query(query: object) -> None:
    """Raises DataError: not text, or more of it than anybody types; blank text is a query that finds nothing."""
    if not isinstance(query, str) or len(query) > MAX_QUERY:
        shown = repr(query)[:80]
        raise DataError(f"query = {shown}", f"text of at most {MAX_QUERY} characters", "search for fewer words")


def search_chain(chain: Chain, workspace: Workspace, n: int) -> Chain:
    """The chain of a search: its one channel, and the filters that know no exceptions.

    What the user has seen may be found again, and the order is that of the cosines: ranker and rules have no say.

    Raises:
        NotFoundError: the config has no channel that reads texts.
        ArtifactError: it has one that is not trained.
    """
    channel = next((c for c, _ in chain.channels if isinstance(c, TextChannel)), None)
    if channel is None:
        blocks = workspace.raw.get("retrieval", {}).get("channels", {}).items()
        if not any(isinstance(b, dict) and b.get("kind", name) == "text" for name, b in blocks):
            raise NotFoundError(
                "no search: the config has no channel of kind text", '[retrieval.channels.text] kind = "text"',
                "add it to feedmill.toml, run `feedmill train`, and start the service again",
            )  # fmt: skip
        raise ArtifactError("the channel that reads texts is not trained", "a text model", "run `feedmill train`")
    return replace(
        chain,
        channels=((channel, n + _MORE),),
        limit=n + _MORE,
        filters=tuple(f for f in chain.filters if not getattr(f, "soft", False)),
        fallback=None,
        prerank=None,
        keep=n + _MORE,
        rank=None,
        fuse=lambda candidates: candidates.found[:, 0],
        rules=(),
        n_hidden=lambda request, user: 0,
    )


def searched(request: FeedRequest) -> EventBatch:
    """The SEARCH event of a request; clicks that bear its request id are known to come of it."""
    return EventBatch.of(
        {
            "time_ms": [request.time_ms],
            "kind": int(Kind.SEARCH),
            "user_id": request.user_id,
            "request_id": request.request_id,
            "payload": request.context[QUERY],
        }
    )
