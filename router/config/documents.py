"""What the three kinds of configuration file may say, as pydantic models: shapes and units only."""

import re
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from bus.durations import SECONDS, Duration
from router.core.schedule import Window, cron_of, window_of

_LATER: Final = "alerts digest expect retention"
LATER: Final = frozenset(_LATER.split())
"""Keys of later versions: an error that says so, rather than a rule that silently does nothing."""

_RATE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*/\s*(s|m|h)", re.ASCII)
_PERCENT: Final = re.compile(r"(\d+(?:\.\d+)?)\s*%", re.ASCII)


def _per_second(value: object) -> object:
    if isinstance(value, str) and (found := _RATE.fullmatch(value.strip())) and float(found[1]) > 0:
        return float(found[1]) / SECONDS[found[2]]
    raise ValueError("no rate (expected a number per s, m or h, as in 10/s)")


def _per_hour(value: object) -> object:
    if value == 0 and not isinstance(value, bool):
        return 0
    if isinstance(value, str) and (found := _RATE.fullmatch(value.strip())):
        return round(float(found[1]) / SECONDS[found[2]] * 3600)
    raise ValueError("no rate (expected a number per h, as in 20/h)")


def _share(value: object) -> object:
    if isinstance(value, str) and (found := _PERCENT.fullmatch(value.strip())) and float(found[1]) <= 100:
        return float(found[1]) / 100
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1:
        return float(value)
    raise ValueError("no share (expected a percentage as in 20%, or a fraction as in 0.2)")


def _window(value: object) -> object:
    return window_of(value) if isinstance(value, str) else window_of("")


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


SystemName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
EntityName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]
FieldName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=10_000)]
Texts = Annotated[tuple[Text, ...], BeforeValidator(_several, json_schema_input_type=str | list[str])]
PerHour = Annotated[int, BeforeValidator(_per_hour, json_schema_input_type=str)]
WindowText = Annotated[Window, BeforeValidator(_window, json_schema_input_type=str)]
Windows = Annotated[tuple[WindowText, ...], BeforeValidator(_several, json_schema_input_type=str | list[str])]
Cron = Annotated[str, AfterValidator(cron_of)]
Rate = Annotated[float, BeforeValidator(_per_second, json_schema_input_type=str)]
Share = Annotated[float, BeforeValidator(_share, json_schema_input_type=str | float)]


class Strict(BaseModel):
    """Written by a person: a key that we do not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=False)


# -- district.yaml


class Nats(Strict):
    """The message bus. Without `url` yellowbus starts its own server on this machine."""

    url: str = ""
    credentials: str = Field(default="", description="Path of a .creds file")
    replicas: int = Field(default=1, ge=1, le=5)


class LimitEntry(Strict):
    """Beyond both of these it is held."""

    share: Share = Field(description="Of the records that there are, as in 5%")
    records: int = Field(ge=0, description="So many always flow")


class DistrictLimits(Strict):
    """Of an entity in the whole district, beside what is held of single schools."""

    creates: LimitEntry = LimitEntry(share=0.20, records=200)
    updates: LimitEntry = LimitEntry(share=0.40, records=1_000)
    removes: LimitEntry = LimitEntry(share=0.03, records=50)


class Blackout(Strict):
    """A time in which every plan is held: the turn of the school year, say."""

    from_: str = Field(alias="from", description="From this date on (local midnight)")
    until: str = Field(description="Before this date (local midnight)")


class GuardsEntry(Strict):
    """What is not complete is refused whole (the first two); what changes a lot is held, school by school."""

    dangling_max: Share = Field(default=0.01, description="References that name nothing, as a share of all")
    shrink_max: Share = Field(
        default=0.20, description="How much smaller than the last good read a file may be"
    )
    first_read: Literal["hold", "flow"] = Field(
        default="hold", description="What becomes of the first read of a source"
    )
    creates: LimitEntry = Field(
        default=LimitEntry(share=0.30, records=50), description="Of an entity at a school"
    )
    updates: LimitEntry = Field(
        default=LimitEntry(share=0.50, records=200), description="Of an entity at a school"
    )
    removes: LimitEntry = Field(
        default=LimitEntry(share=0.05, records=20), description="Of an entity at a school"
    )
    district: DistrictLimits = DistrictLimits()
    population_min: int = Field(
        default=50, ge=0, description="Of fewer records than this only the number of a limit counts"
    )
    approval: Duration = Field(
        default=86_400.0, gt=0, description="How long a hold may be approved, as in 24h"
    )
    blackouts: tuple[Blackout, ...] = Field(default=(), description="When nothing flows by itself")


class DistrictFile(Strict):
    """district.yaml: what holds for the district as a whole."""

    name: Text
    timezone: Text = Field(description="IANA name, as in America/Chicago; times without a zone are in it")
    key: Text = Field(
        default="generated",
        description="Secret of subjects and hashes: ${file:NAME}, or generated on first start",
    )
    nats: Nats = Nats()
    guards: GuardsEntry = GuardsEntry()


# -- one file for each system


class SourceEntry(Strict):
    """How a table of a source becomes events of an entity."""

    table: str = Field(
        "", description="File, table or resource in that system; the entity's name unless said"
    )
    id: Text = Field(description="The column with the system's own id")
    hub_id: str = Field("", description="The column with our id of it, where we have made the record there")
    when: Text | None = Field(
        None, description="CEL over the row's columns: which rows of the table these are"
    )
    fields: dict[str, Text] = Field(min_length=1, description="the hub's field: their column, or CEL")
    normalize: dict[str, Texts] = Field(
        default={}, description="field: trim, lower, upper or a date format; id: of these, for ids"
    )


class SourcePart(Strict):
    """What a system tells us."""

    adapter: Text
    settings: dict[str, Any] = {}
    clock_skew: Duration | None = Field(
        default=None,
        description="How wrong the clock may be that dates its news: 5m for files, 0s where we date it",
    )
    entities: dict[str, SourceEntry] = Field(min_length=1)


class DestinationEntry(Strict):
    """How records of an entity become what a system is told."""

    table: str = Field(
        "", description="File, table or resource in that system; the entity's name unless said"
    )
    id: Text = Field(default="id", description="The system's field that carries the id")
    from_: Texts = Field(
        default=(), alias="from", description="Only records whose existence came from these systems"
    )
    when: Text | None = Field(default=None, description="CEL over the record's fields: which records it gets")
    after: Texts = Field(default=(), description="Systems that must have the record first")
    fields: dict[str, Text] = Field(min_length=1, description="their field: the hub's field, or CEL")
    on_delete: Literal["delete", "deactivate", "ignore"] = "delete"
    delete_after: Duration | None = Field(
        default=None, gt=0, description="Of what is deactivated: removed if it has not come back, as in 60d"
    )
    on_refused: Literal["restore", "leave"] = Field(
        default="restore", description="What it wrote and does not own: set it right, or leave it there"
    )


class Limits(Strict):
    """No more of these in an hour, whatever waits: 0 means no limit."""

    creates: PerHour = 0
    removes: PerHour = 0


class ScheduleEntry(Strict):
    """When it is told, in the district's time zone: at once, unless this says otherwise."""

    windows: Windows = Field(
        default=(), description="Only then, as in 05:00-23:00; several may be given, over midnight too"
    )
    cron: Cron = Field(
        default="", description="At each of these times what is ready then, as in 0 5 * * * (five fields)"
    )


class DestinationPart(Strict):
    """What we tell a system."""

    adapter: Text
    settings: dict[str, Any] = {}
    purpose: str = Field(default="", description="Why it gets sensitive fields")
    agreement: str = Field(default="", description="The contract that allows it, and its date")
    mode: Literal["observe", "add-only", "live"] = Field(
        default="observe", description="observe: send nothing until a person approves `yellowbus adopt`"
    )
    schedule: ScheduleEntry = ScheduleEntry()
    rate: Rate = 0.0
    burst: int = Field(
        default=0,
        ge=0,
        description="How many may go at once after a quiet time; of a rate what a second brings",
    )
    deadline: Duration = Field(
        default=300.0, gt=0, description="How long one call may take before it counts as failed, as in 5m"
    )
    concurrent: int = Field(default=1, ge=1, le=64)
    limits: Limits = Limits()
    restores: PerHour = Field(default=3, description="How often a refused write is set right, as in 3/h")
    takes_up_within: Duration = Field(
        default=0.0, description="How long it may take to show what it was told, as in 36h"
    )
    linger: Duration = Field(default=0.0, description="How long to gather before a send")
    compare: str = Field(
        default="",
        pattern=r"^(daily ([01][0-9]|2[0-3]):[0-5][0-9])?$",
        description="When to read back what it has and report what differs, as in daily 03:00",
    )
    waits_at_most: Duration = Field(
        default=86_400.0, gt=0, description="A record that waits longer for another is told to a person"
    )
    entities: dict[str, DestinationEntry] = Field(min_length=1)


class SystemFile(Strict):
    """One system of the district: source, destination, or both."""

    system: SystemName
    title: str = ""
    source: SourcePart | None = None
    destination: DestinationPart | None = None
