"""The page at /: what is where. It loads nothing from elsewhere."""

from __future__ import annotations

import hashlib
from base64 import b64encode

HOME = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>feedmill</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 3rem auto; padding: 0 1rem; color: #222 }
code, pre { font: 14px/1.5 ui-monospace, monospace; background: #f3f3f0; border-radius: 4px }
code { padding: .1rem .3rem } pre { padding: .8rem; overflow-x: auto } td { padding: .2rem 1rem .2rem 0 }
@media (prefers-color-scheme: dark) {
  body { background: #181818; color: #ddd } code, pre { background: #2a2a2a } a { color: #8bf } }
</style>
<h1>feedmill</h1>
<table>
<tr><td><code>POST /v1/feed</code><td>a feed for a user; its cursor asks for the next page
<tr><td><code>POST /v1/events</code><td>what people saw and did, one event or a list
<tr><td><code>GET /v1/similar/{item_id}</code><td>items like an item, and the channel that says so
<tr><td><a href="/v1/experiments"><code>GET /v1/experiments</code></a><td>what runs; POST creates one
<tr><td><code>POST /v1/experiments/{name}/{step}</code><td>start, stop, roll_out, reverse, close
<tr><td><code>GET /v1/trace/{request_id}</code><td>how a feed came about, stage by stage
<tr><td><a href="/readyz"><code>GET /readyz</code></a><td>whether the service is warm, and what it serves
<tr><td><a href="/metrics"><code>GET /metrics</code></a><td>counts and times, for Prometheus
<tr><td><a href="/healthz"><code>GET /healthz</code></a><td>whether the process is alive
<tr><td><a href="/openapi.json"><code>GET /openapi.json</code></a><td>all of it, for machines
</table>
<pre>curl -s localhost:PORT/v1/feed   -H 'content-type: application/json' -d '{"user_id": "7", "n": 5}'
curl -s localhost:PORT/v1/events -H 'content-type: application/json' \\
     -d '{"kind": "click", "user_id": "7", "item_id": "42", "event_id": "a-1"}'</pre>
<script>document.body.innerHTML = document.body.innerHTML.replaceAll("localhost:PORT", location.host)</script>
</html>
"""


def _hash(tag: str) -> str:
    """What a content security policy knows an inline part by."""
    text = HOME.partition(f"<{tag}>")[2].partition(f"</{tag}>")[0]
    return f"'sha256-{b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


POLICY = (
    f"default-src 'none'; script-src {_hash('script')}; style-src {_hash('style')}; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
