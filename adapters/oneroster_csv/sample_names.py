"""Invented names: nobody is called like this. Two syllables of ours for each."""

from typing import Final

_GIVEN_HEADS: Final = "Bri Tam Or Quil Zel Fen Mar Isk Dov Pel Ry Sut Vel Wim Yor Lum Nim Cal Hob Ing"
_GIVEN_TAILS: Final = "dle sy lo lon dabet wick bo ander ena ibel ko mira nia ola rin sko tavi una vard zoe"
_FAMILY_HEADS: Final = (
    "Amber Apple Birch Bracken Brindle Clover Copper Dapple Ember Fiddle Ginger Hazel Juniper Kettle Lantern "
    "Maple Nettle Oat Pepper Puddle Quince Rumble Saffron Tangle Thistle Tumble Velvet Willow Windle Yarrow"
)
_FAMILY_TAILS: Final = (
    "bank beam brook by combe dale down fell field ford gate ham hollow hurst ley mere moor nook pond ridge "
    "row sedge shaw stead thorpe ton wade well wick wood"
)
_PLACE_HEADS: Final = "Alder Bramble Cinder Dewdrop Elmtop Foxglove Gorse Heron Indigo Jackdaw Kestrel Larch"
_PLACE_TAILS: Final = "Hill Hollow Bend Landing Meadows Point Ridge Springs Vale Crossing"


def _pairs(heads: str, tails: str, between: str = "") -> tuple[str, ...]:
    return tuple(f"{head}{between}{tail}" for tail in tails.split() for head in heads.split())


_GIVEN: Final = _pairs(_GIVEN_HEADS, _GIVEN_TAILS)
_FAMILY: Final = _pairs(_FAMILY_HEADS, _FAMILY_TAILS)
_PLACE: Final = _pairs(_PLACE_HEADS, _PLACE_TAILS, " ")

DISTRICT: Final = "Marigold Flats Unified School District"
DOMAIN: Final = "marigold-flats.example"


def given(number: int) -> str:
    """One of 400."""
    return _GIVEN[number % len(_GIVEN)]


def family(number: int) -> str:
    """One of 900."""
    return _FAMILY[number % len(_FAMILY)]


def place(number: int) -> str:
    """One of 120; beyond those, numbered."""
    again, which = divmod(number, len(_PLACE))
    name = _PLACE[which * 13 % len(_PLACE)]
    return f"{name} {again + 1}" if again else name
