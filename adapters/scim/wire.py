"""What is said to a SCIM service, and how its answers are told apart.

scim2-client builds and sends the requests (its own models are too strict to read other people's accounts:
one e-mail address that it dislikes would hide the account). Payloads are plain JSON objects here.
"""

import json
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

import httpx2
from scim2_client import RequestNetworkException, SCIMClientException
from scim2_client.engines.httpx2 import AsyncSCIMClient
from scim2_models import (
    EnterpriseUser,
    Group,
    ResourceType,
    SCIMException,
    ScimProvider,
    ServiceProviderConfig,
    User,
)

from adapters.scim.attributes import Json, get

_PATCH_OP: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_ACCOUNT: Final = User[EnterpriseUser]
USERS: Final = "Users"
GROUPS: Final = "Groups"
_RESOURCES: Final[Mapping[str, Any]] = {USERS: _ACCOUNT, GROUPS: Group}
_RAW: Final[Mapping[str, Any]] = {
    "check_request_payload": False,
    "check_response_payload": False,
    "expected_status_codes": None,
}


class Answer(Exception):
    """The service answered, and it is no success. `detail` may hold values: it is for reading only."""

    def __init__(self, status: int, scim_type: str, detail: str, retry_after: str) -> None:
        super().__init__(status)
        self.status = status
        self.scim_type = scim_type
        self.detail = detail
        self.retry_after = retry_after


class Lost(Exception):
    """No answer that can be read. `sent`: a write may have been done all the same."""

    def __init__(self, why: str, *, sent: bool) -> None:
        super().__init__(why)
        self.sent = sent


class Wire:
    """One service. Every call raises Answer or Lost."""

    def __init__(
        self, url: str, token: str, timeout_s: float, concurrent: int, verify: ssl.SSLContext | bool
    ) -> None:
        self._http = httpx2.AsyncClient(
            base_url=url,
            headers={"Authorization": f"Bearer {token}"} if token else {},
            timeout=timeout_s,
            verify=verify,
            limits=httpx2.Limits(max_connections=concurrent, max_keepalive_connections=concurrent),
            event_hooks={"response": [_only_success]},
        )
        self._scim = AsyncSCIMClient(
            self._http,
            provider=ScimProvider(
                models=[User, EnterpriseUser, Group],
                resource_types=[ResourceType.from_resource(each) for each in (_ACCOUNT, Group)],
            ),
        )
        self._patch_is_supported = True
        self._etag_is_supported = False

    async def probe(self) -> Json:
        """What the service can do: its ServiceProviderConfig (RFC 7643 section 5); {} if it has none."""
        try:
            config = await self._read(self._scim.query(ServiceProviderConfig, **_RAW))
        except Answer as answer:
            if answer.status not in (404, 501):
                raise
            config = {}
        self._patch_is_supported = get(get(config, "patch"), "supported") is not False
        self._etag_is_supported = get(get(config, "etag"), "supported") is True
        return config

    async def get(self, id_: str) -> Json:
        return await self._read(self._scim.query(_ACCOUNT, id_, **_RAW))

    async def find(self, attribute: str, value: str) -> list[Json]:
        """The accounts that have this value there."""
        query = {"filter": f"{attribute} eq {json.dumps(value, ensure_ascii=False)}"}
        found = await self._read(self._scim.query(_ACCOUNT, query_parameters=query, **_RAW))
        resources = get(found, "Resources") or []
        return [resource for resource in resources if isinstance(resource, dict)]

    async def page(self, resource: str, start: int, count: int) -> Json:
        """A part of the list of all (RFC 7644 section 3.4.2.4): from the start-th on, counted from 1."""
        query = {"startIndex": start, "count": count}
        return await self._read(self._scim.query(_RESOURCES[resource], query_parameters=query, **_RAW))

    async def create(self, account: Json) -> Json:
        return await self._write(self._scim.create(account, url="/Users", **_RAW))

    async def update(self, account: Json, operations: Sequence[Json], whole: Json) -> None:
        """PATCH, or PUT where PATCH is not supported; only if the account is still as it was read."""
        id_, headers = str(get(account, "id")), self._if_match(account)
        if self._patch_is_supported:
            patch = {"schemas": [_PATCH_OP], "Operations": list(operations)}
            try:
                await self._write(self._scim.modify(_ACCOUNT, id_, patch, headers=headers, **_RAW))
                return
            except Answer as answer:
                if answer.status not in (405, 501):
                    raise
                self._patch_is_supported = False
        url = f"/Users/{quote(id_, safe='')}"
        await self._write(self._scim.replace(whole, url=url, headers=headers, **_RAW))

    async def delete(self, account: Json) -> None:
        call = self._scim.delete(
            _ACCOUNT,
            str(get(account, "id")),
            check_response_payload=False,
            expected_status_codes=None,
            headers=self._if_match(account),
        )
        await self._write(call)

    async def close(self) -> None:
        await self._http.aclose()

    def _if_match(self, account: Json) -> dict[str, str]:
        version = get(get(account, "meta"), "version")
        return {"If-Match": str(version)} if version and self._etag_is_supported else {}

    async def _read(self, call: Any) -> Json:
        return await _answered(call, sent=False)

    async def _write(self, call: Any) -> Json:
        return await _answered(call, sent=True)


async def _only_success(response: httpx2.Response) -> None:
    """Turn every other answer into an Answer, before it is looked at as SCIM: proxies answer in HTML."""
    if response.is_success:
        return
    await response.aread()
    try:
        error = response.json()
    except ValueError:
        error = {}
    raise Answer(
        response.status_code,
        str(get(error, "scimType") or ""),
        str(get(error, "detail") or ""),
        response.headers.get("retry-after", ""),
    )


async def _answered(call: Any, *, sent: bool) -> Json:
    try:
        answer = await call
    except RequestNetworkException as error:
        cause = error.__cause__
        never_sent = isinstance(cause, httpx2.ConnectError | httpx2.ConnectTimeout | httpx2.PoolTimeout)
        raise Lost(type(cause).__name__, sent=sent and not never_sent) from error
    except SCIMClientException as error:
        raise Lost(f"not SCIM: {type(error).__name__}", sent=sent) from error
    except SCIMException as error:  # scim2-client would not even send it
        raise Answer(error.status, error.scim_type, "", "") from error
    return answer if isinstance(answer, dict) else {}
