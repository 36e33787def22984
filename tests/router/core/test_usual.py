"""A short way is right if it comes to what the long one does, and is worth it if it is taken."""

from hypothesis import event as label
from hypothesis import given
from hypothesis import strategies as st

from bus.messages import Event, Op, Origin, Outcome, Record, Seen, Value
from router.core.fields import Draft
from router.core.held import NOTHING_TOLD
from router.core.merge import merge
from router.core.rules import EntityRule, FieldRule, Period, Type
from router.core.usual import news, usual_edit

KEY = "student/7"
SEVERAL = (Period(systems=("idp", "sis")),)
FIELDS = {
    name: FieldRule(name=name, type=Type.TEXT, owner=owner, owners=SEVERAL if not owner else (), group=group)
    for name, owner, group in (
        ("name", "sis", ()),
        ("grade", "sis", ()),
        ("email", "idp", ()),
        ("phone", "", ()),
        ("street", "sis", ("street", "town")),
        ("town", "sis", ("street", "town")),
    )
}
RULES = EntityRule(name="student", owner="sis", fields=FIELDS, two_way=frozenset({"idp"}))

SPEAKS = {
    "sis": ("name", "grade", "phone", "street", "town"),
    "idp": ("email", "phone"),
    "lms": ("name", "email", "street"),
}

values: st.SearchStrategy[Value] = st.sampled_from([None, "a", "b"])
says = st.fixed_dictionaries({name: values for name in FIELDS})
steps = st.lists(
    st.tuples(st.sampled_from(["sis", "sis", "idp", "lms"]), says, st.sets(st.sampled_from(sorted(FIELDS)))),
    max_size=10,
)


@given(says, steps)
def test_a_usual_edit_comes_to_what_merging_field_by_field_makes_of_it(
    begin: dict[str, Value], following: list[tuple[str, dict[str, Value], set[str]]]
) -> None:
    record: Record | None = None
    for seq, (system, says, edited) in enumerate([("sis", begin, set(FIELDS)), *following], 1):
        stands = record.values if record else {}
        fields = {name: says[name] if name in edited else stands.get(name) for name in SPEAKS[system]}
        event = Event(str(seq), system, "student", Op.UPDATE, "7", fields, True, seq)
        if record is not None and system in record.links:
            before = record.seen[system]
            edits = news(before, event, record.values)
            if edits and (found := usual_edit(record, before, event, edits, RULES, seq, NOTHING_TOLD)):
                label("a usual edit")
                long = Draft(record, event, RULES, seq, NOTHING_TOLD, KEY).merge()
                assert (found.values, found.origins, found.seen) == (long.values, long.origins, long.seen)
                assert (found.changed, found.turns, found.asked) == (long.changed, long.turns, long.asked)
                assert not long.conflicts and not long.contact and not long.owed
                assert long.by_field == dict.fromkeys(edits, Outcome.ACCEPTED)
        record = merge(record, event, KEY, RULES, seq).record


def _owners_edit() -> tuple[Record, Event, Seen]:
    """A record that two systems have seen, an edit of it by its owner, and what that one said before."""
    origin, said = Origin("sis", 1, 1, "owner", 1), ("name", "email")
    seen = {"sis": Seen(1, said), "lms": Seen(1, said)}
    values: dict[str, Value] = {"name": "Ada", "email": "a@x"}
    origins = dict.fromkeys(values, origin)
    record = Record(KEY, "student", 1, 1, False, (), 1, values, origins, {"sis": "7"}, seen)
    fields: dict[str, Value] = {"name": "Eda", "email": "a@x"}
    return record, Event("2", "sis", "student", Op.UPDATE, "7", fields, True, 2), seen["sis"]


def test_an_edit_by_the_owner_takes_the_short_way_past_others_who_have_seen_the_record() -> None:
    record, event, before = _owners_edit()

    edits = news(before, event, record.values)
    after = usual_edit(record, before, event, edits or {}, RULES, 2, NOTHING_TOLD)

    assert edits == {"name": "Eda"}
    assert after is not None and after.values["name"] == "Eda"
    assert after.seen["lms"].said == {"name": "Ada"}


def test_a_field_that_waits_for_a_person_is_not_edited_the_short_way() -> None:
    record, event, before = _owners_edit()
    asked = record._replace(asked={"name": ("idp", "lms")})
    edits = news(before, event, record.values) or {}

    assert usual_edit(record, before, event, edits, RULES, 2, NOTHING_TOLD) is not None
    assert usual_edit(asked, before, event, edits, RULES, 2, NOTHING_TOLD) is None
