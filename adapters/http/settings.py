"""How a system wants its JSON: where, by which method, with what beside the fields."""

import re
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NamedTuple, Self
from urllib.parse import quote

from pydantic import AfterValidator, Field, SecretStr, model_validator

from adapters.http.bodies import Refused
from bus import adapter
from bus.adapter import Delivery

_PLACEHOLDER: Final = re.compile(r"\{(\w*)\}")
PLACEHOLDERS: Final = ("path", "id", "local_id")


def _known_placeholders(text: str) -> str:
    for name in _PLACEHOLDER.findall(text):
        if name not in PLACEHOLDERS:
            raise ValueError(f"{{{name}}} is no placeholder (path, id, local_id expected)")
    return text


class Request(NamedTuple):
    """A method and a path below the system's url."""

    method: str
    path: str


Template = Annotated[
    str, Field(pattern=r"^(POST|PUT|PATCH|DELETE) (/|\{path\})\S*$"), AfterValidator(_known_placeholders)
]
"""A request as written: `PUT {path}/{id}`."""
Where = Annotated[str, Field(pattern=r"^(/|\{path\})\S*$"), AfterValidator(_known_placeholders)]
Header = Annotated[str, Field(pattern=r"^[A-Za-z0-9-]+$")]


class Batch(adapter.Settings):
    """Many records in one request: `{"records": [...]}`, each with `op` (update or delete) beside its fields.

    `results`: where in the answer there is one for each record, in their order, with a `status` as HTTP has
    it. Without that, a success is of all of them.
    """

    path: str = Field(pattern=r"^/\S*$")
    size: int = Field(default=100, ge=1, le=500)
    results: str = "results"


class List(adapter.Settings):
    """Where all records of a table can be read, and so be compared. `records`: where they stand in an answer.
    `local_id`: where the system's own id stands in a record ('' : it goes by ours).

    `next`: how the page after one is asked for: `link` (by the answer's Link header, RFC 8288), `page` (by a
    number, from `first` on, until a page is empty), `offset` (by how many came before, likewise), `cursor`
    (by what stands at `cursor` in the answer, until nothing does); '' : an answer has all. `param`: what the
    query calls that. `total`: where an answer says how many there are, so that a list is known to be whole.
    """

    path: Where = "{path}"
    records: str = ""
    local_id: str = ""
    next: Literal["", "link", "page", "offset", "cursor"] = ""
    param: str = Field(default="", pattern=r"^[A-Za-z0-9_.\[\]-]*$")
    first: int = Field(default=1, ge=0)
    cursor: str = ""
    total: str = ""

    @model_validator(mode="after")
    def _check_next(self) -> Self:
        if {*_PLACEHOLDER.findall(self.path)} - {"path"}:
            raise ValueError("path: only {path} can stand in that of a list (it is of no single record)")
        if self.next in ("page", "offset", "cursor") and not self.param:
            raise ValueError(f"param: is missing (what does the query call the {self.next}?)")
        if (self.next == "cursor") != bool(self.cursor):
            raise ValueError("cursor: goes with next: cursor (where does it stand in an answer?)")
        return self

    def start(self, table_path: str) -> Request:
        """The request for the first page."""
        path = self.path.replace("{path}", table_path)
        if self.next in ("page", "offset"):
            return self.following(path, self.first if self.next == "page" else 0)
        return Request("GET", path)

    def following(self, path: str, at: object) -> Request:
        """The request for a page, by its place."""
        between = "&" if "?" in path else "?"
        return Request("GET", f"{path}{between}{self.param}={quote(str(at), safe='')}")


class Table(adapter.Settings):
    """One table. In requests `{path}` is the table's, `{id}` ours of the record, `{local_id}` the system's.

    `read`: where a record can be looked at: then what is so already is not written again, and a system that
    makes its own ids gets no record twice after a lost answer. `record`: where it stands in an answer; of a
    list, the only entry. `local_id`: where the system's own id stands in an answer, as in `data.id`. `body`:
    what each record carries beside its fields; `deactivate_body`: what it is told when switched off. `list`:
    where all records can be read: then what it has can be compared.
    """

    path: str = Field(default="", pattern=r"^(/\S*)?$")
    create: Template = "PUT {path}/{id}"
    update: Template = "PUT {path}/{id}"
    delete: Template = "DELETE {path}/{id}"
    deactivate: Template = "PATCH {path}/{id}"
    deactivate_body: dict[str, Any] = Field(default={"active": False})
    read: Where | None = None
    record: str = ""
    local_id: str = ""
    body: dict[str, Any] = Field(default={})
    batch: Batch | None = None
    list: List | None = None

    @property
    def upserts(self) -> bool:
        """One request both creates and updates."""
        return self.create == self.update

    def request(self, template: str, delivery: Delivery, local_id: str) -> Request | None:
        """A request of this table for a record; None: it needs the system's own id, which is not known.

        Raises Refused for an id that would lead out of the table.
        """
        if "{local_id}" in template and not local_id:
            return None
        method, _, path = template.partition(" ")
        if "{id}" in path:
            path = path.replace("{id}", _in_path(delivery.id))
        if "{local_id}" in path:
            path = path.replace("{local_id}", _in_path(local_id))
        if "{path}" in path:  # at last: what a person has written there stays as it is
            path = path.replace("{path}", self.path_of(delivery.table))
        return Request(method, path)

    def path_of(self, name: str) -> str:
        """What stands for {path} in the requests of a table."""
        return self.path or f"/{quote(name, safe='')}"


def _in_path(id_: str) -> str:
    if id_.isascii() and id_.isalnum():
        return id_
    if id_ in (".", ".."):
        raise Refused("an id of nothing but dots cannot stand in a path")
    return quote(id_, safe="")


class OAuth2(adapter.Settings):
    """Client credentials (RFC 6749 section 4.4). `send_in`: how the client says who it is, Basic or form."""

    token_url: str = Field(pattern=r"^https?://[^/]+")
    client_id: str = Field(min_length=1)
    client_secret: SecretStr
    scope: str = ""
    send_in: Literal["header", "body"] = "header"


class Settings(adapter.Settings):
    """`url`: what comes before each path. `token` goes into `token_header`, as Bearer where that is
    Authorization; or `oauth2`. `check`: a path that answers 200 to who may come in. The version of a record
    goes along in `version_header`, and in the body as `version_field` if that is set: a newer one that `read`
    finds there is left alone. `verify`: of the certificate: true, false, or a file with the authorities.
    """

    url: str = Field(pattern=r"^https?://[^/]+")
    token: SecretStr | None = None
    token_header: Header = "Authorization"
    oauth2: OAuth2 | None = None
    headers: dict[Header, SecretStr] = Field(default={})
    check: str = Field(default="", pattern=r"^(/\S*)?$")
    timeout_s: float = Field(default=30.0, gt=0)
    verify: bool | Path = True
    version_header: Header | Literal[""] = "X-Yellowbus-Version"
    version_field: str = ""
    tables: dict[str, Table] = Field(default={})
