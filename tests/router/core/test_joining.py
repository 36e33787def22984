"""Two records become one, and are taken apart: what each has then."""

from bus.messages import Claim, Event, Op, Origin, Outcome, Record, Seen
from router.core.joining import HUB, absorbed, decide_joining, let_go, refers, revived
from router.core.rules import EntityRule, FieldRule, Type

RULES = EntityRule(
    name="x",
    owner="sis",
    fields={
        "name": FieldRule(name="name", type=Type.TEXT, owner="sis"),
        "mail": FieldRule(name="mail", type=Type.TEXT, owner="idp"),
        "of": FieldRule(name="of", type=Type.REFERENCES, owner="sis", to=("x",)),
    },
)


def record(id_: str, name: str, mail: str | None, *systems: str) -> Record:
    values = {"name": name, "mail": mail}
    origins = {"name": Origin("sis", int(id_), 5, "owner", 1), "mail": Origin("idp", int(id_), 5, "owner", 1)}
    links = {"sis": id_, **{system: f"{system}-{id_}" for system in systems}}
    seen = {"sis": Seen(5, ("name",)), **{system: Seen(5, ("mail",)) for system in systems}}
    return Record(f"x/{id_}", "x", 1, 1, False, (), 1, {**values}, origins, links, seen)


ONE, TWO = record("1", "Ada", None), record("2", "Ada B", "ada@x", "idp")


def act(op: Op, **about: object) -> Event:
    return Event(
        "e", "operator", "x", op, "", {}, False, 9, act={"looked_at": 1, "other_looked_at": 1, **about}
    )


def test_what_each_id_says_stays_what_it_says() -> None:
    after = absorbed(ONE, TWO)

    assert after.seen["sis:2"].said == {"name": "Ada B"}
    assert after.seen["idp"].said == {}
    assert (after.values["mail"], after.origins["mail"].rule) == ("ada@x", "merged")


def test_a_claim_that_met_another_value_is_over_and_the_others_stand() -> None:
    claims = {"name": Claim(3, 4), "mail": Claim(3, 4)}
    two = TWO._replace(seen={"idp": Seen(5, ("name", "mail"), {"name": "Z", "mail": "Y"}, {}, {}, claims)})
    after = absorbed(ONE._replace(values={"name": "Ada", "mail": "ada@x"}), two)

    assert after.seen["idp"].said == {"name": "Z", "mail": "Y"}
    assert list(after.seen["idp"].claims) == ["mail"]


def test_taken_apart_each_has_what_it_had() -> None:
    both = absorbed(ONE, TWO)
    left = TWO._replace(deleted=True, into=ONE.key)
    back = revived(left, both, RULES)
    stayed = let_go(both, back, RULES)

    assert (back.values, back.links, back.seen, back.deleted) == (TWO.values, TWO.links, TWO.seen, False)
    assert (stayed.values, stayed.links, stayed.aliases) == (ONE.values, ONE.links, {})
    assert stayed.seen == ONE.seen


def test_a_record_without_an_id_that_its_owner_still_has_comes_back_deleted() -> None:
    both = absorbed(ONE, TWO)
    both = both._replace(seen={**both.seen, "sis:2": Seen(9)})

    assert revived(TWO._replace(deleted=True, into=ONE.key), both, RULES).deleted
    led = both._replace(links={"sis": "2", "idp": "idp-2"}, aliases={"sis": ("1",), HUB: ("x/2",)})
    led = led._replace(seen={"sis": Seen(9, ("name",)), "sis:1": Seen(9), "idp": Seen(5, ("mail",))})
    assert let_go(led, TWO, RULES).deleted


def test_what_was_one_with_the_one_that_leaves_goes_with_it() -> None:
    three = record("3", "Ada", None)
    two = absorbed(TWO, three)
    both = absorbed(ONE, two)

    assert both.aliases[HUB] == ("x/3", "x/2")
    assert both.aliases["sis"] == ("2", "3")
    assert HUB not in let_go(both, two, RULES).aliases


def test_two_that_cannot_be_one_are_refused() -> None:
    deleted = ONE._replace(deleted=True)
    one_already = TWO._replace(into="x/9")
    for first, second in ((ONE, ONE), (deleted, TWO), (ONE, one_already), (ONE, None), (None, TWO)):
        assert decide_joining(first, second, act(Op.MERGE), RULES, 7).outcome is Outcome.REFUSED
    assert decide_joining(TWO, ONE, act(Op.SPLIT), RULES, 7).outcome is Outcome.REFUSED
    assert decide_joining(ONE, TWO, act(Op.MERGE, other_looked_at=2), RULES, 7).outcome is Outcome.REFUSED


def test_what_follows_is_decided_once() -> None:
    both = absorbed(ONE, TWO)
    leaves = act(Op.FOLLOW, what="leaves", ids={"idp": ["idp-2", "given"]})
    left = decide_joining(TWO, both, leaves, RULES, 8).record
    assert left is not None
    assert (left.deleted, left.into, left.aliases) == (True, ONE.key, {"idp": ("given",)})

    assert not decide_joining(left, both, leaves, RULES, 9).makes_change
    assert not decide_joining(TWO, ONE, leaves, RULES, 9).makes_change  # split again meanwhile
    assert not decide_joining(ONE, TWO, act(Op.FOLLOW, what="lets go"), RULES, 9).makes_change


def test_a_reference_among_several_is_re_pointed_and_back() -> None:
    before = record("9", "Group", None)._replace(values={"of": ("x/2", "x/3")})
    assert refers(before, "x/2", RULES)
    there = act(Op.FOLLOW, what="refers", **{"from": "x/2"})
    after = decide_joining(before, ONE, there, RULES, 8).record
    assert after is not None
    assert (after.values["of"], after.origins["of"].rule) == (("x/1", "x/3"), "merged x/2")

    assert refers(after, "x/1", RULES, since="x/2") and not refers(after, "x/1", RULES, since="x/5")
    back = act(Op.FOLLOW, what="refers", since="x/2", **{"from": "x/1"})
    again = decide_joining(after, TWO, back, RULES, 9).record
    assert again is not None
    assert (again.values, again.origins["of"].rule) == (before.values, "owner")
