"""What is asked of a system, and what it answers: any status, or that there was no answer."""

import io
import json
import ssl
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import aiohttp
from yarl import URL

from adapters.http.credentials import Credentials
from adapters.http.settings import Request

ANSWER_BYTES_MAX: Final = 16 << 20
AT_ONCE_BYTES_MAX: Final = 1 << 19
_READS: Final = frozenset({"GET", "HEAD"})


class Answer(NamedTuple):
    """An answer. `says`: its JSON, None if it has none. `text` may hold values: it is for reading only.
    `next`: the whole address of the next page, if its Link header has one (RFC 8288).
    """

    status: int
    says: Any
    text: str
    etag: str
    retry_after: str
    next: str = ""

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300


class Lost(Exception):
    """No answer that can be read. `sent`: a write may have been done all the same."""

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.sent = sent


class Wire:
    """One system's connections. Redirects are refused: a token goes where a person has said."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        credentials: Credentials,
        timeout_s: float,
        concurrent: int,
        verify: ssl.SSLContext | bool,
    ) -> None:
        self._url = url.rstrip("/")
        self._headers = headers
        self._credentials = credentials
        self._timeout_s = timeout_s
        self._concurrent = concurrent
        self._verify = verify
        self._session: aiohttp.ClientSession | None = None

    async def ask(
        self, request: Request, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One request, and once more with another token if there is one. Raises Lost or Unavailable."""
        session = self._session or self._opened()
        known_by = await self._credentials.headers(session)
        answer = await self._asked(session, request, body, {**(headers or {}), **known_by})
        if answer.status == 401 and self._credentials.renew(known_by):
            known_by = await self._credentials.headers(session)
            answer = await self._asked(session, request, body, {**(headers or {}), **known_by})
        return answer

    async def close(self) -> None:
        """Let go of the connections. Twice is fine."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=self._concurrent, ssl=self._verify),
                timeout=aiohttp.ClientTimeout(total=self._timeout_s),
                headers={"Accept": "application/json", **self._headers},
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def _asked(
        self, session: aiohttp.ClientSession, request: Request, body: Any, headers: Mapping[str, str]
    ) -> Answer:
        sent = request.method not in _READS
        data = None
        if body is not None:
            data = _payload(json.dumps(body, ensure_ascii=False).encode())
            headers = {"Content-Type": "application/json", **headers}
        url = URL(f"{self._url}{request.path}", encoded=True)
        try:
            async with session.request(
                request.method, url, data=data, headers=headers, allow_redirects=False
            ) as answer:
                return await _read(answer, sent)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise Lost(type(error).__name__, sent=False) from error
        except (aiohttp.ClientError, TimeoutError) as error:
            raise Lost(type(error).__name__, sent=sent) from error


def _payload(body: bytes) -> bytes | io.BytesIO:
    """A large one in parts: in one piece it would hold up the loop."""
    return body if len(body) <= AT_ONCE_BYTES_MAX else io.BytesIO(body)


async def _read(answer: aiohttp.ClientResponse, sent: bool) -> Answer:
    content: bytes | bytearray
    if answer.content_length is not None and answer.content_length <= AT_ONCE_BYTES_MAX:
        content = await answer.read()
    else:
        content = bytearray()
        async for part in answer.content.iter_any():
            content += part
            if len(content) > ANSWER_BYTES_MAX:
                raise Lost(f"an answer of more than {ANSWER_BYTES_MAX} bytes", sent=sent)
    text = content.decode("utf-8", "replace")
    try:
        says = json.loads(text)
    except (ValueError, RecursionError):
        says = None
    return Answer(
        answer.status,
        says,
        text,
        answer.headers.get("ETag", ""),
        answer.headers.get("Retry-After", ""),
        _next(answer) if "Link" in answer.headers else "",
    )


def _next(answer: aiohttp.ClientResponse) -> str:
    found = answer.links.get("next")
    return str(found["url"]) if found else ""
