"""Brings what teachers do to the hub: signed, in order, and again until it has been taken.

Nothing is lost if this process or the hub is killed: a webhook is posted until the hub has answered for it,
and one that was taken without our hearing so comes again under the same id.
"""

import asyncio
import hashlib
import hmac
import time
from typing import Final

import aiohttp
import click

from .book import Book, Letter

TAKEN: Final = 202
REFUSED: Final = frozenset({400, 404, 413, 415, 422})
"""The hub will say the same of it again."""
ANSWER_WITHIN_S: Final = 30.0
RETRY_MIN_S: Final = 0.2
RETRY_MAX_S: Final = 10.0


class Postman:
    """One webhook at a time, oldest first."""

    def __init__(self, book: Book, url: str, secret: str) -> None:
        self._book = book
        self._url = url
        self._secret = secret.encode()
        self._news = asyncio.Event()
        self._failures = 0

    def wake(self) -> None:
        """There may be something to post."""
        self._news.set()

    async def run(self) -> None:
        """For ever."""
        timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
        async with aiohttp.ClientSession(timeout=timeout) as session:
            while True:
                self._news.clear()
                letter = self._book.unsaid()
                if letter is None:
                    await self._news.wait()
                    continue
                rest_s = await self._post(session, letter)
                if rest_s:
                    await asyncio.sleep(rest_s)

    async def _post(self, session: aiohttp.ClientSession, letter: Letter) -> float:
        """Returns for how many seconds to leave the hub alone; 0: it has taken it, or never will."""
        body = letter.body.encode()
        at = f"{time.time():.3f}"
        signature = hmac.new(self._secret, at.encode() + b"." + body, hashlib.sha256).hexdigest()
        headers = {
            "Content-Type": "application/json",
            "X-Yellowbus-Timestamp": at,
            "X-Yellowbus-Signature": f"sha256={signature}",
        }
        try:
            async with session.post(self._url, data=body, headers=headers) as answer:
                status, later = answer.status, answer.headers.get("Retry-After", "")
        except (aiohttp.ClientError, TimeoutError):
            return self._backoff_s()
        if status == TAKEN or status in REFUSED:
            if status != TAKEN:
                click.echo(f"webhook {letter.number}: {status}: the hub will not take it", err=True)
            self._book.answered(letter, status)
            self._failures = 0
            return 0.0
        return float(later) if later.isdecimal() else self._backoff_s()

    def _backoff_s(self) -> float:
        self._failures += 1
        return min(RETRY_MIN_S * 2.0 ** min(self._failures - 1, 10), RETRY_MAX_S)
