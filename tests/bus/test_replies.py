"""An answer comes, is denied, or is given up in time; and each asker gets its own."""

import asyncio
from typing import cast

import pytest
from nats.aio.client import Client
from nats.aio.msg import Msg

from bus.errors import Denied, Unavailable
from bus.replies import Replies

CUT = Unavailable("the connection was cut")
LATE = Unavailable("no answer in time")


@pytest.fixture
def replies() -> Replies:
    replies = Replies()
    replies.inbox = "_INBOX.abc."
    return replies


def message(subject: str, data: bytes = b"") -> Msg:
    return Msg(cast(Client, None), subject, data=data)


async def test_each_asker_gets_its_own_answer_in_any_order(replies: Replies) -> None:
    (reply_a, a), (reply_b, b) = (replies.expect(("x",), 5.0, None) for _ in range(2))
    await replies.hear(message(reply_b, b"for b"))
    await replies.hear(message(reply_a, b"for a"))

    assert (a.result().data, b.result().data) == (b"for a", b"for b")
    assert len(replies) == 0


async def test_a_second_answer_and_one_that_nobody_asked_for_are_passed_over(replies: Replies) -> None:
    reply, answer = replies.expect(("x",), 5.0, None)
    for subject, data in ((reply, b"first"), (reply, b"second"), ("_INBOX.abc.99", b"other")):
        await replies.hear(message(subject, data))

    assert answer.result().data == b"first"


async def test_what_comes_before_the_answer_is_taken_by_more(replies: Replies) -> None:
    before: list[bytes] = []

    def more(msg: Msg) -> bool:
        before.append(msg.data)
        return msg.data != b"end"

    reply, answer = replies.expect(("x",), 5.0, more)
    for data in (b"1", b"2", b"end"):
        assert not answer.done()
        await replies.hear(message(reply, data))

    assert answer.result().data == b"end"
    assert before == [b"1", b"2", b"end"]


async def test_those_whose_time_is_over_are_given_up_and_no_others(replies: Replies) -> None:
    (_, early), (reply, later) = replies.expect(("x",), 5.0, None), replies.expect(("x",), 5.1, None)
    replies.fail_late(4.9, LATE)
    assert not early.done()
    replies.fail_late(5.0, LATE)
    await replies.hear(message(reply, b"in time"))

    assert early.exception() is LATE
    assert later.result().data == b"in time"


async def test_a_lost_connection_ends_all_waiting(replies: Replies) -> None:
    answers = [replies.expect(("x",), 5.0, None)[1] for _ in range(3)]
    replies.fail_all(CUT)

    assert [type(each.exception()) for each in answers] == [Unavailable] * 3
    assert len(replies) == 0


async def test_a_denial_ends_those_who_wrote_there_in_the_words_they_wrote(replies: Replies) -> None:
    _, denied = replies.expect(("cmd.Ann.status", "cmd.Ann.holds"), 5.0, None)
    reply, other = replies.expect(("cmd.ann.status.more",), 5.0, None)
    replies.fail_denied("cmd.ann.holds", lambda subject: Denied(f"may not publish to {subject}"))
    await replies.hear(message(reply))

    assert str(denied.exception()) == "may not publish to cmd.Ann.holds"
    assert other.result().subject == reply


async def test_one_who_no_longer_waits_is_no_trouble(replies: Replies) -> None:
    (reply, gone), (_, left) = replies.expect(("x",), 5.0, None), replies.expect(("x",), 5.0, None)
    gone.cancel()
    left.cancel()
    await replies.hear(message(reply))
    replies.fail_all(CUT)
    await asyncio.sleep(0)

    assert gone.cancelled() and left.cancelled()
    assert len(replies) == 0
