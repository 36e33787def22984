"""YAML with the line and column of every key and value, so that each mistake is reported where it stands.

Scalars follow YAML 1.2 (`on`, `no` and `12:30` are text, `09` keeps its zero), tags are refused, and size,
depth and the number of values (aliases expanded) have limits. `${file:NAME}` may stand unquoted anywhere.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple, Protocol

import yaml

Path = tuple[str | int, ...]
"""Where in a document: ("source", "entities", "student", "fields", "email")."""

BYTES_MAX: Final = 1_000_000
DEPTH_MAX: Final = 40
VALUES_MAX: Final = 50_000

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: Final = {"": None, "~": None, "null": None, "true": True, "false": False}
_INTEGER: Final = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})", re.ASCII)
_NUMBER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*)\.[0-9]+([eE][-+]?[0-9]{1,3})?", re.ASCII)

# Braces mean something to YAML: those of ${...} are swapped for other characters, one for one (columns stay).
_SUBSTITUTION: Final = re.compile(r"\$\{[^{}\n]*\}")
_HIDE: Final = {ord(char): 0xE000 + n for n, char in enumerate("{}[],")}
_SHOW: Final = {hidden: chr(char) for char, hidden in _HIDE.items()}
_HIDDEN: Final = re.compile("[\ue000-\ue004]")


class Place(NamedTuple):
    """Line and column, both counted from 1."""

    line: int
    column: int


class Problem(NamedTuple):
    """One mistake in the configuration, for the person who wrote it. Line 0: of the file as a whole.

    >>> str(Problem("sis.yaml", 3, 7, 'unknown key "adaptor"'))
    'sis.yaml:3:7: unknown key "adaptor"'
    """

    file: str
    line: int
    column: int
    text: str

    def __str__(self) -> str:
        place = f":{self.line}:{self.column}" if self.line else ""
        return f"{self.file}{place}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One file as read: plain values, and where each stands. `hidden`: secrets among them, and the `${...}`
    to show in their stead.
    """

    file: str
    data: object
    places: Mapping[Path, Place] = field(default_factory=dict)
    keys: Mapping[Path, Place] = field(default_factory=dict)
    hidden: Mapping[str, str] = field(default_factory=dict)

    def place(self, path: Path, *, key: bool = False) -> Place:
        """Where a value stands (or its key); of a value that is not there, where it is missing."""
        for end in range(len(path), -1, -1):
            part = path[:end]
            place = (self.keys if key and part == path else self.places).get(part) or self.places.get(part)
            if place:
                return place
        return Place(1, 1)

    def renamed(self, path: Path, key: str) -> "Document":
        """The same, with what stands at a path (and below it) found under another key."""

        def moved(places: Mapping[Path, Place]) -> dict[Path, Place]:
            end = len(path)
            there = {one: place for one, place in places.items() if one[:end] == path}
            return {**places, **{(*path[:-1], key, *one[end:]): place for one, place in there.items()}}

        return replace(self, places=moved(self.places), keys=moved(self.keys))

    def problem(self, path: Path, text: str, *, key: bool = False) -> Problem:
        """What is wrong with the value there (or its key), without its secrets."""
        for secret, shown in self.hidden.items():
            text = text.replace(secret, shown)
        return Problem(self.file, *self.place(path, key=key), text)


class Unreadable(Exception):
    """It is not YAML that we take. `problem` says where and why."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


def read(content: bytes, file: str) -> Document:
    """Read one YAML document. `file` is its name in messages.

    Raises Unreadable.
    """
    return _Reading(file).read(content)


class _Mark(Protocol):
    @property
    def line(self) -> int: ...
    @property
    def column(self) -> int: ...


class _Node(NamedTuple):
    """A value as written. `plain`: text without quotes, which may mean a number, a boolean or nothing."""

    place: Place
    text: str = ""
    plain: bool = False
    items: "list[_Node] | None" = None
    pairs: "list[tuple[_Node, _Node]] | None" = None


class _Reading:
    """Text to events, events to nodes (on a stack of its own), nodes to values (aliases expanded)."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.places: dict[Path, Place] = {}
        self.keys: dict[Path, Place] = {}
        self.anchors: dict[str, _Node] = {}
        self.values = 0

    def read(self, content: bytes) -> Document:
        if len(content) > BYTES_MAX:
            raise self._error(Place(1, 1), f"{len(content)} bytes (at most {BYTES_MAX})")
        text = self._decode(content)
        try:
            root = self._root(yaml.parse(_SUBSTITUTION.sub(_hide, text), Loader=_Loader))
        except yaml.MarkedYAMLError as error:
            raise self._error(_start(error.problem_mark), f"not YAML: {_show(error.problem or '')}") from None
        except yaml.reader.ReaderError as error:
            raise self._error(_end_of(text[: error.position]), "a control character") from None
        data = self._plain(root, ()) if root else None
        return Document(file=self.file, data=data, places=self.places, keys=self.keys)

    def _error(self, place: Place, text: str) -> Unreadable:
        return Unreadable(Problem(self.file, *place, text))

    def _decode(self, content: bytes) -> str:
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            before = content[: error.start].decode("utf-8-sig", "replace")
            raise self._error(_end_of(before), "not UTF-8 (save the file as UTF-8)") from None
        if odd := _HIDDEN.search(text):
            place = _end_of(text[: odd.start()])
            raise self._error(place, f"U+{ord(odd[0]):04X} is a private-use character (expected text)")
        return text

    # -- events to nodes

    def _root(self, events: Iterator[yaml.Event]) -> _Node | None:
        root: _Node | None = None
        open_: list[tuple[yaml.CollectionStartEvent, list[_Node]]] = []
        for event in events:
            place = _start(event.start_mark)
            if isinstance(event, yaml.DocumentStartEvent) and root:
                raise self._error(place, "a second document (expected one per file)")
            if isinstance(event, yaml.CollectionStartEvent):
                open_.append((event, []))
                if len(open_) > DEPTH_MAX:
                    raise self._error(place, f"nested more than {DEPTH_MAX} deep")
                continue
            if isinstance(event, yaml.CollectionEndEvent):
                start, items = open_.pop()
                node = self._collection(start, items)
                anchor = start.anchor
            elif isinstance(event, yaml.ScalarEvent):
                self._refuse_tag(event, place)
                node = _Node(place, text=_show(event.value), plain=event.implicit[0])
                anchor = event.anchor
            elif isinstance(event, yaml.AliasEvent):
                node, anchor = self._aliased(event, place), None
            else:
                continue
            if anchor:
                self.anchors[anchor] = node
            if open_:
                open_[-1][1].append(node)
            else:
                root = node
        return root

    def _collection(self, start: yaml.CollectionStartEvent, items: list[_Node]) -> _Node:
        place = _start(start.start_mark)
        self._refuse_tag(start, place)
        if isinstance(start, yaml.MappingStartEvent):
            return _Node(place, pairs=list(zip(items[::2], items[1::2], strict=True)))
        return _Node(place, items=items)

    def _refuse_tag(self, event: yaml.CollectionStartEvent | yaml.ScalarEvent, place: Place) -> None:
        if event.tag and event.tag != "!":
            raise self._error(place, "a tag (expected plain YAML)")

    def _aliased(self, event: yaml.AliasEvent, place: Place) -> _Node:
        if node := self.anchors.get(event.anchor or ""):
            return node
        raise self._error(place, f"*{event.anchor}: there is no complete &{event.anchor} before it")

    # -- nodes to values

    def _plain(self, node: _Node, path: Path) -> object:
        self.values += 1
        if self.values > VALUES_MAX:
            raise self._error(node.place, f"more than {VALUES_MAX} values (aliases count each time)")
        if len(path) > DEPTH_MAX:
            raise self._error(node.place, f"nested more than {DEPTH_MAX} deep")
        self.places[path] = node.place
        if node.items is not None:
            return [self._plain(item, (*path, n)) for n, item in enumerate(node.items)]
        if node.pairs is not None:
            return self._mapping(node.pairs, path)
        return _scalar(node.text) if node.plain else node.text

    def _mapping(self, pairs: list[tuple[_Node, _Node]], path: Path) -> dict[str, object]:
        found: dict[str, object] = {}
        for key, value in pairs:
            if key.items is not None or key.pairs is not None:
                raise self._error(key.place, "a collection as a key (expected a name)")
            if key.text in found:
                first = self.keys[*path, key.text].line
                raise self._error(key.place, f'"{key.text}" a second time (first in line {first})')
            self.keys[*path, key.text] = key.place
            found[key.text] = self._plain(value, (*path, key.text))
        return found


def _scalar(text: str) -> object:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    return float(text) if _NUMBER.fullmatch(text) else text


def _hide(found: re.Match[str]) -> str:
    return found[0].translate(_HIDE)


def _show(text: str) -> str:
    return text.translate(_SHOW)


def _start(mark: _Mark | None) -> Place:
    return Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)


def _end_of(text: str) -> Place:
    lines = text.splitlines() or [""]
    return Place(len(lines), len(lines[-1]) + 1)
