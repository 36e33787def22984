"""What a system knows us by: a token of its own, or one from an OAuth2 server, renewed in time."""

import asyncio
import base64
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol
from urllib.parse import quote_plus

import aiohttp

from adapters.http.settings import OAuth2, Settings
from adapters.web.answers import Down, retry_after_s

MARGIN_S: Final = 60.0
"""A token is renewed that long before it ends: a request may be slow."""
TOKEN_BYTES_MAX: Final = 1 << 20


class Credentials(Protocol):
    """Whom we say we are."""

    async def headers(self, session: aiohttp.ClientSession) -> Mapping[str, str]:
        """For one request. Raises Unavailable."""
        ...

    def renew(self, refused: Mapping[str, str]) -> bool:
        """These headers were refused: is there any use in asking for others?"""
        ...


class Fixed:
    """A token that a person has put into the configuration, or none."""

    def __init__(self, settings: Settings) -> None:
        self._headers: dict[str, str] = {}
        if settings.token is not None:
            token = settings.token.get_secret_value()
            bearer = settings.token_header.lower() == "authorization"
            self._headers[settings.token_header] = f"Bearer {token}" if bearer else token

    async def headers(self, session: aiohttp.ClientSession) -> Mapping[str, str]:
        return self._headers

    def renew(self, refused: Mapping[str, str]) -> bool:
        return False


class ClientCredentials:
    """Tokens by client credentials (RFC 6749 section 4.4): one, until shortly before its end."""

    def __init__(self, settings: OAuth2, system: str, now_ms: Callable[[], int]) -> None:
        self._settings = settings
        self._where = f"{system}: {settings.token_url}"
        self._now_ms = now_ms
        self._turn = asyncio.Lock()
        self._headers: dict[str, str] = {}
        self._until_ms = 0.0

    async def headers(self, session: aiohttp.ClientSession) -> Mapping[str, str]:
        async with self._turn:
            if not self._headers or self._now_ms() >= self._until_ms:
                self._take(await self._asked(session))
            return self._headers

    def renew(self, refused: Mapping[str, str]) -> bool:
        if refused is self._headers:  # else another request has renewed it meanwhile
            self._headers = {}
        return True

    async def _asked(self, session: aiohttp.ClientSession) -> Mapping[str, Any]:
        settings = self._settings
        form = {"grant_type": "client_credentials"} | ({"scope": settings.scope} if settings.scope else {})
        secret = settings.client_secret.get_secret_value()
        headers = {"Accept": "application/json"}
        if settings.send_in == "body":
            form |= {"client_id": settings.client_id, "client_secret": secret}
        else:  # form-encoded first, as RFC 6749 section 2.3.1 says
            pair = f"{quote_plus(settings.client_id)}:{quote_plus(secret)}"
            headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        try:
            async with session.post(
                settings.token_url, data=form, headers=headers, allow_redirects=False
            ) as answer:
                self._check(answer)
                found = json.loads(await answer.content.read(TOKEN_BYTES_MAX))
        except (aiohttp.ClientError, TimeoutError) as error:
            what = f"{self._where}: no answer ({type(error).__name__}). Is the token's server up?"
            raise Down(what, runbook="http-unavailable") from error
        except ValueError:
            found = None
        if not isinstance(found, dict) or not isinstance(found.get("access_token"), str):
            what = f"{self._where}: no access_token in its answer. See token_url in the settings"
            raise Down(what, runbook="http-unavailable") from None
        return found

    def _check(self, answer: aiohttp.ClientResponse) -> None:
        if answer.status in (400, 401, 403):
            raise Down(f"{self._where}: {answer.status}: the client was refused", runbook="token-refused")
        if not 200 <= answer.status < 300:
            raise Down(
                f"{self._where}: {answer.status} (a success expected). See its own log",
                retry_after_s=retry_after_s(answer.headers.get("Retry-After", ""), self._now_ms()),
                runbook="http-unavailable",
            )

    def _take(self, found: Mapping[str, Any]) -> None:
        try:
            lasts_s = float(found.get("expires_in", "inf"))
        except (TypeError, ValueError):
            lasts_s = float("inf")  # until it is refused
        self._headers = {"Authorization": f"Bearer {found['access_token']}"}
        self._until_ms = self._now_ms() + 1000 * max(lasts_s - MARGIN_S, lasts_s / 2)


def credentials_of(settings: Settings, system: str, now_ms: Callable[[], int]) -> Credentials:
    """As the settings have it."""
    if settings.oauth2 is not None:
        return ClientCredentials(settings.oauth2, system, now_ms)
    return Fixed(settings)
