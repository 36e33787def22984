"""Several ids of a record in one system."""

from bus.messages import Record, Seen
from router.core.voices import ids_of, led_by, names_of, speaking, with_ids

SEEN = {"sis": Seen(1, ("a",)), "sis:2": Seen(2, ("b",)), "idp": Seen(3)}
RECORD = Record("x/1", "x", 1, 1, False, (), 1, {}, {}, {"sis": "1"}, SEEN, aliases={"sis": ("2", "3")})


def test_another_id_leads_and_the_first_one_leads_again() -> None:
    led = led_by(RECORD, "sis", "2")

    assert ids_of(led, "sis") == ("2", "1", "3")
    assert led.seen == {"sis": SEEN["sis:2"], "sis:1": SEEN["sis"], "idp": SEEN["idp"]}
    assert led_by(led, "sis", "1") == RECORD


def test_an_id_that_is_new_leads_without_a_word_of_its_own() -> None:
    led = led_by(RECORD, "sis", "9")

    assert ids_of(led, "sis") == ("9", "1", "2", "3")
    assert "sis" not in led.seen


def test_who_speaks_next_is_one_that_has_said_something() -> None:
    assert speaking(RECORD, "sis", "1") == "2"
    assert speaking(RECORD, "sis", "2") == ""
    assert speaking(RECORD._replace(seen={"sis:3": Seen(4)}), "sis", "1") == ""


def test_a_record_that_is_one_with_another_has_no_name_of_its_own() -> None:
    assert names_of(RECORD) == {("sis", "x", "1"), ("sis", "x", "2"), ("sis", "x", "3")}
    assert names_of(RECORD._replace(into="x/2")) == set()


def test_no_ids_leave_no_trace() -> None:
    alone = with_ids(RECORD, "sis", ())

    assert (alone.links, alone.aliases) == ({}, {})
