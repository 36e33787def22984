"""Which record is it? Laws of keys and references."""

from hypothesis import given
from hypothesis import strategies as st

from bus.messages import Event, Op, Value
from router.core.identity import UNKNOWN, key_for, named, references, resolve
from router.core.rules import EntityRule, FieldRule, Type

RULES = EntityRule(
    name="enrollment",
    owner="sis",
    fields={
        "student": FieldRule(name="student", type=Type.REFERENCE, owner="sis", to=("student", "staff")),
        "classes": FieldRule(name="classes", type=Type.REFERENCES, owner="sis", to=("class",)),
        "role": FieldRule(name="role", type=Type.TEXT, owner="sis"),
    },
)
REFERENCES = references(RULES)

ids = st.text(min_size=1, max_size=6)
links = st.dictionaries(
    st.tuples(st.just("sis"), st.sampled_from(["student", "staff", "class"]), ids), ids.map("k/{}".format)
)


def event(**fields: Value) -> Event:
    return Event("1", "sis", "enrollment", Op.UPDATE, "7", fields, True, 0)


@given(st.sets(st.integers(1, 20)))
def test_a_key_is_never_one_that_is_taken(suffixes: set[int]) -> None:
    taken = {"enrollment/7" if n == 1 else f"enrollment/7~{n}" for n in suffixes}
    key = key_for(event(), taken.__contains__)

    assert key not in taken
    assert key.startswith("enrollment/7")


@given(ids)
def test_a_key_that_is_free_is_the_systems_own_id(local_id: str) -> None:
    assert key_for(event()._replace(local_id=local_id), lambda key: False) == f"enrollment/{local_id}"


@given(links, ids, st.lists(ids, max_size=4))
def test_a_reference_is_a_key_or_the_id_kept_as_unknown(
    links: dict[tuple[str, str, str], str], student: str, classes: list[str]
) -> None:
    said = event(student=student, classes=tuple(classes), role="x")
    fields, unknown = resolve(said, REFERENCES, links)

    student_key = links.get(("sis", "student", student)) or links.get(("sis", "staff", student))
    class_keys = [links.get(("sis", "class", id_)) for id_ in classes]
    assert fields["student"] == (student_key or f"{UNKNOWN}/{student}")
    assert fields["classes"] == tuple(
        key or f"{UNKNOWN}/{id_}" for key, id_ in zip(class_keys, classes, strict=True)
    )
    assert ("student" in unknown) == (student_key is None)
    assert ("classes" in unknown) == (None in class_keys)
    assert fields["role"] == "x"


@given(links, ids, st.lists(ids, max_size=4))
def test_all_that_is_resolved_was_named_before(
    links: dict[tuple[str, str, str], str], student: str, classes: list[str]
) -> None:
    said = event(student=student, classes=tuple(classes))
    asked = set(named(said, REFERENCES))

    assert resolve(said, REFERENCES, links) == resolve(
        said, REFERENCES, {name: key for name, key in links.items() if name in asked}
    )


def test_a_blank_reference_stays_blank_and_names_nothing() -> None:
    said = event(student=None, role="x")

    assert named(said, REFERENCES) == []
    assert resolve(said, REFERENCES, {}) == (said.fields, ())


def test_an_event_is_never_changed_by_resolving_it() -> None:
    said = event(student="1")
    resolve(said, REFERENCES, {("sis", "student", "1"): "student/1"})

    assert said.fields == {"student": "1"}
