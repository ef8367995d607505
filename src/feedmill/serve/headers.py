"""Headers of every answer: nothing is kept, guessed at, framed, or loaded from elsewhere."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

CSP = b"content-security-policy"
SAFE: tuple[tuple[bytes, bytes], ...] = (
    (b"cache-control", b"no-store"),  # a feed is of one person and one moment
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_NOTHING = (CSP, b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")


class Headers:
    """ASGI middleware that adds them; a page that loads parts of its own has its own content security policy."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.setdefault("headers", [])
                if not any(name == CSP for name, _ in headers):
                    headers.append(_NOTHING)
                headers.extend(SAFE)
            await send(message)

        await self._app(scope, receive, add)
