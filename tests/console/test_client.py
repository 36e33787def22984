"""The console's door to the bus: where it is, who asks, what comes back."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from bus.errors import Unavailable, YellowbusError
from bus.jetstream import JetStream
from bus.services import Command, serve
from console.client import Where, bus_options, client, operator, safe_token


@click.command()
@bus_options
def where_is_it(where: Where) -> None:
    click.echo(f"{where.server} {where.creds} {where.state}")


def said(*arguments: str, **environ: str) -> str:
    clean = {"YELLOWBUS_STATE": None, "STATE_DIRECTORY": None, "YELLOWBUS_SERVER": None, **environ}
    return CliRunner().invoke(where_is_it, arguments, env=clean).output.strip()


def test_the_bus_is_where_options_say_then_the_environment_then_here() -> None:
    assert (
        said("--server", "nats://a:1", "--creds", "c", YELLOWBUS_SERVER="nats://b:2") == "nats://a:1 c state"
    )
    assert said(YELLOWBUS_SERVER="nats://b:2").startswith("nats://b:2 ")
    assert said(STATE_DIRECTORY="/var/lib/yellowbus") == "/var/lib/yellowbus"
    assert said("--state", "here", YELLOWBUS_STATE="there") == "here"
    assert said() == "state"


def test_a_state_folder_knows_its_server(tmp_path: Path) -> None:
    folder = tmp_path / "nats"
    folder.mkdir()
    with pytest.raises(Unavailable, match="no server was started here"):
        Where(state=tmp_path).address()
    (folder / "connection.json").write_text(json.dumps({"url": "nats://h:1", "user": "u", "password": "p"}))

    assert (Where(state=tmp_path).address().url, Where(state=tmp_path).address().user) == ("nats://h:1", "u")
    assert Where(server="nats://h:2", state=tmp_path).address().url == "nats://h:2"


@pytest.mark.parametrize(
    ("name", "token"),
    [("ada", "ada"), ("ada.king", "ada-king"), ("DISTRICT\\ada k>", "DISTRICT-ada-k"), ("*", "")],
)
def test_an_account_becomes_one_token(name: str, token: str) -> None:
    assert safe_token(name) == token


def test_who_has_no_name_is_an_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.setenv(variable, ">")

    assert operator() == "operator"


async def test_what_waits_is_told_apart_from_what_is_not_there(bus: JetStream) -> None:
    await bus.connection.api(
        "CONSUMER.CREATE.EVENTS.intake",
        {"stream_name": "EVENTS", "config": {"name": "intake", "durable_name": "intake"}},
    )

    async with client(Where(server=bus.connection.address.url)) as asking:
        assert await asking.pending("EVENTS", "intake") == 0
        assert await asking.pending("CHANGES", "nobody") is None


async def test_a_newer_router_is_not_guessed_at(bus: JetStream) -> None:
    async def answer(operator: str, request: bytes) -> bytes:
        return b'{"version": 99}'

    services = await serve(
        bus.connection, "r", "1.0.0", "", [Command(what="status", answer=answer, description="")]
    )
    await bus.connection.client.flush()
    async with client(Where(server=bus.connection.address.url)) as asking:
        with pytest.raises(YellowbusError, match="Update yellowbus here"):
            await asking.ask("status")
    await services.close()
