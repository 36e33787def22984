"""What the destination writes, the source reads back the same: in every dialect, whatever the values are."""

import asyncio
import io
from contextlib import aclosing
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from delimited_inbox import Inbox
from delimited_outbox import Outbox
from folders import deliver, rows
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.delimited.form import Dialect, Form, encoded
from adapters.files.change import Unwritable
from bus.adapter import EntityShape
from bus.messages import Op, Outcome, Value
from router.core.rules import Type
from router.core.values import normal_date, parser

SHAPE = EntityShape(
    "student",
    "students",
    "key no",
    (
        ("key no", "text"),
        ("text", "text"),
        ("whole", "integer"),
        ("number", "number"),
        ("yes", "boolean"),
        ("day", "date"),
        ("several", "list"),
    ),
)
MARKS = ",;\t|\"'\\\r\n \ufeff\x0b\u2028éß日🐝aY1"
DATES = ("", "%d.%m.%Y", "%m/%d/%Y", "%Y%m%d")
ENCODINGS = ("utf-8", "utf-8-sig", "cp1252", "latin-1", "utf-16")

texts = st.text(alphabet=st.sampled_from(MARKS) | st.characters(exclude_characters="\0"), max_size=12)
lines = st.lists(st.lists(texts, min_size=3, max_size=3), max_size=5)
delimiters = st.sampled_from([",", ";", "tab", "|"])
forms = st.fixed_dictionaries(
    {
        "delimiter": delimiters,
        "quote": st.sampled_from(['"', "'", ""]),
        "escape": st.sampled_from(["double", "backslash"]),
        "encoding": st.sampled_from(ENCODINGS),
    }
)
ends = st.sampled_from(["crlf", "lf", "cr"])


@example({}, "crlf", False, [["\ufeffa", "b", ""], ["", "", ""]])  # no mark of the encoding
@given(forms, ends, st.booleans(), lines)
def test_cells_that_fit_are_read_back(
    form: dict[str, str], end: str, all_: bool, rows: list[list[str]]
) -> None:
    dialect = Dialect.of(Form.model_validate(form), end, quote_all=all_)
    fits, line = dialect.fits(), dialect.line()
    written = []
    for row in rows:
        try:
            for cell in row:
                fits("a", cell)
        except Unwritable:
            assert form["quote"] == "" or not form["encoding"].startswith("utf") or _broken(row)
            continue
        written.append(row)

    stream = io.BytesIO(b"".join(encoded(map(line, written), dialect.encoding)))

    assert list(dialect.read(stream)) == written


def _broken(row: list[str]) -> bool:
    """Half of a character, which no encoding has."""
    return any("\ud800" <= character <= "\udfff" for cell in row for character in cell)


words = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=6)
items = words.map(str.strip).filter(bool)
finite = st.floats(allow_nan=False, allow_infinity=False).map(lambda number: number + 0.0)
records = st.fixed_dictionaries(
    {
        "text": st.none() | words.filter(lambda text: not text.isspace()),
        "whole": st.none() | st.integers(-(2**63) + 1, 2**63 - 1),
        "number": st.none() | finite,
        "yes": st.none() | st.booleans(),
        "day": st.none() | st.dates(min_value=date(1000, 1, 1)).map(str),
        "several": st.none() | st.lists(items, min_size=1, max_size=3).map(tuple),
    }
)


spoken = st.fixed_dictionaries(
    {
        "header": st.booleans(),
        "booleans": st.sampled_from([["true", "false"], ["Y", "N"], ["0", "1"]]),
        "decimal": st.sampled_from([".", ","]),
        "list_separator": st.sampled_from(["", ";", "|", "~~"]),
    }
)


@settings(max_examples=30, deadline=None)  # each writes to a disk and waits for it
@given(forms, ends, st.lists(records, min_size=1, max_size=3), spoken, st.sampled_from(DATES))
def test_records_that_were_delivered_are_read_back(
    form: dict[str, str], end: str, told: list[dict[str, Value]], words: dict[str, object], dates: str
) -> None:
    both = {**form, **words}

    with TemporaryDirectory() as folder:
        delivered, found = asyncio.run(_there_and_back(Path(folder), both, end, told, dates))

    assert found == delivered


async def _there_and_back(
    root: Path, form: dict[str, object], end: str, told: list[dict[str, Value]], dates: str
) -> tuple[dict[str, dict[str, Value]], dict[str, dict[str, Value]]]:
    """What was delivered, and what the source and the router's mapping make of the file."""
    (root / "out").mkdir()
    (root / "in").mkdir()
    outbox, inbox = Outbox(root), Inbox(root)
    out = outbox.destination(SHAPE, **form, line_end=end, **({"dates": dates} if dates else {}))
    batch = [deliver("students", str(n), 1, Op.UPDATE, fields) for n, fields in enumerate(told)]
    receipts = await out.apply(batch)
    await out.close()
    delivered = {
        delivery.id: dict(delivery.fields)
        for delivery, receipt in zip(batch, receipts, strict=True)
        if receipt.outcome is Outcome.DELIVERED
    }
    if not delivered:
        return {}, {}
    (outbox.folder / "students.csv").rename(inbox.folder / "students.csv")
    columns = [name for name, _ in SHAPE.fields]
    tables = {} if form["header"] else {"students": {"columns": columns}}
    async with aclosing(inbox.source(SHAPE, **form, tables=tables).read()) as readings:
        reading = await anext(readings)
        await reading.open()
        found = {row.values["key no"]: row.values for row in await rows(reading, "students")}
        assert not [warning for warning in reading.warnings if "blank lines" in warning]
    return delivered, {id_: _as_the_router_reads(values, dates) for id_, values in found.items()}


def _as_the_router_reads(values: dict[str, str], dates: str) -> dict[str, Value]:
    read: dict[str, Value] = {}
    for name, type_ in SHAPE.fields[1:]:
        text = values[name]
        if name == "day" and text and dates:
            text = normal_date(text, dates)
        parse = parser(Type(type_))
        read[name] = None if not text else parse(text) if parse else text
    return read
