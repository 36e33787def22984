"""Messages out of the socket's bytes, however they are cut."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.parse import Parser

Heard = tuple[bytes, bytes, bytes, bytes]


class Client:
    """Takes what nats-py's parser hands on."""

    def __init__(self) -> None:
        self.heard: list[tuple[int, Heard]] = []
        self.pings = 0

    async def _process_msg(self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: Any) -> None:
        self.heard.append((sid, (bytes(subject), bytes(reply), bytes(headers or b""), bytes(data))))

    async def _process_ping(self) -> None:
        self.pings += 1


words = st.from_regex(rb"[a-zA-Z0-9._$]{1,12}", fullmatch=True)
heads = st.one_of(st.just(b""), st.binary(max_size=20).map(lambda raw: b"NATS/1.0\r\n" + raw))
messages = st.tuples(words, st.one_of(st.just(b""), words), heads, st.binary(max_size=40))


def encoded(sid: int, message: Heard) -> bytes:
    subject, reply, head, body = message
    to = b" ".join(part for part in (subject, b"%d" % sid, reply) if part)
    if head:
        return b"HMSG %s %d %d\r\n%s%s\r\n" % (to, len(head), len(head) + len(body), head, body)
    return b"MSG %s %d\r\n%s\r\n" % (to, len(body), body)


@given(
    st.lists(st.one_of(messages, st.none()), max_size=8),
    st.lists(st.integers(1, 30), min_size=1, max_size=8),
    st.booleans(),
)
async def test_every_message_is_heard_once_in_order_however_the_bytes_are_cut(
    sent: list[Heard | None], cuts: list[int], direct: bool
) -> None:
    client = Client()
    parser = Parser(client)
    if direct:
        parser.direct[7] = lambda *heard: client.heard.append((7, tuple(map(bytes, heard))))  # type: ignore[arg-type]
    stream = b"".join(b"PING\r\n" if message is None else encoded(7, message) for message in sent)

    at, turn = 0, 0
    while at < len(stream):
        size = cuts[turn % len(cuts)]
        await parser.parse(stream[at : at + size])
        at, turn = at + size, turn + 1

    # Behind a PING nats-py's own parser takes over until the buffer is empty: both ways hear the same.
    assert [heard for _, heard in client.heard] == [message for message in sent if message is not None]
    assert client.pings == sum(message is None for message in sent)


async def test_a_message_larger_than_what_has_come_waits_for_its_rest() -> None:
    client = Client()
    parser = Parser(client)
    whole = encoded(3, (b"a.b", b"", b"", b"x" * 100_000))

    await parser.parse(whole[:50_000])
    before = len(client.heard)
    await parser.parse(whole[50_000:])

    assert before == 0
    assert client.heard == [(3, (b"a.b", b"", b"", b"x" * 100_000))]


@pytest.mark.parametrize("line", [b"MSG a.b not-a-number\r\n", b"MSG a.b 1 x\r\n"])
async def test_a_line_that_is_no_message_ends_the_connection(line: bytes) -> None:
    with pytest.raises(Exception, match=r".+"):
        await Parser(Client()).parse(line)
