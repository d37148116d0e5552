"""Connections that keep little while nothing is asked on them: a thousand users who think hold a thousand of them."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Resting(HttpToolsProtocol):
    """uvicorn's protocol, which lets go of a request that was read to its end and answered: some 3 kB."""

    cycle: Any
    scope: Any

    def on_response_complete(self) -> None:
        """An answer is complete: start the next request that is there, or rest."""
        super().on_response_complete()
        last = self.cycle  # Of requests that came without waiting for answers, the newest.
        if not last.response_complete or last.more_body:
            return
        self.cycle = None
        if self.scope is last.scope:  # It is another one where the head of the next request has begun to come.
            self.scope, self.headers = None, []
