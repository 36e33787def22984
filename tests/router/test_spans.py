"""When the terms of a record begin and end, in the district's days."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from bus.messages import Record, Value
from router.core.rules import EntityRule, FieldRule, Period, Type
from router.spans import Spanning

ZONE = ZoneInfo("America/New_York")
STATE = FieldRule(
    name="state", type=Type.TEXT, owner="", owners=(Period(systems=("lms",), during="class.terms"),)
)
RULES = {"enrollment": EntityRule(name="enrollment", owner="sis", fields={"state": STATE})}


def record(key: str, **values: Value) -> Record:
    return Record(key, key.partition("/")[0], 1, 1, False, (), 1, values, {}, {}, {})


RECORDS = {
    each.key: each
    for each in (
        record("class/1", terms=("term/1", "term/2")),
        record("term/1", startDate="2026-08-20", endDate="2026-11-01"),
        record("term/2", startDate="2028-02-29", endDate="2028-03-12"),
        record("term/3", startDate="2026-08-20"),
        record("class/2", terms=("term/3", "term/9")),
    )
}


def look(keys: Iterable[str]) -> Mapping[str, Record]:
    return {key: RECORDS[key] for key in keys if key in RECORDS}


def instant(text: str) -> int:
    return int(datetime.fromisoformat(text).astimezone(UTC).timestamp() * 1000)


def test_a_term_lasts_from_local_midnight_to_the_end_of_its_last_day() -> None:
    spans = Spanning(RULES, ZONE).of("enrollment", {"class": "class/1"}, look)

    # The first ends in the night after clocks go back, the second begins on a leap day and ends on the day
    # on which clocks go forward.
    assert spans["class.terms"] == (
        (instant("2026-08-20T00:00:00-04:00"), instant("2026-11-02T00:00:00-05:00")),
        (instant("2028-02-29T00:00:00-05:00"), instant("2028-03-13T00:00:00-04:00")),
    )


def test_what_is_not_there_or_has_no_dates_has_no_span() -> None:
    spanning = Spanning(RULES, ZONE)

    assert spanning.of("enrollment", {"class": "class/2"}, look) == {"class.terms": ()}
    assert spanning.of("enrollment", {"class": "class/9"}, look) == {"class.terms": ()}
    assert spanning.of("enrollment", {}, look) == {"class.terms": ()}


def test_an_entity_without_terms_looks_nothing_up() -> None:
    def nobody(keys: Iterable[str]) -> Mapping[str, Record]:
        raise AssertionError(keys)

    assert Spanning(RULES, ZONE).of("class", {"terms": ("term/1",)}, nobody) == {}
