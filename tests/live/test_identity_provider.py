"""An identity provider that tells and is told, by real processes: it owns e-mail and user name, and a clerk
edits them in the SIS all the same.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance.scim_server import accounts, call, make_account
from conformance.scim_server import scim_url as scim_url
from identity_district import ENTERPRISE, District, edited, laid_out, patch, students
from record_server import Tenant, record_server
from running import Place, Router, sampled, through, until

from bus.messages import Outcome, Step


@pytest.fixture
def url(scim_url: str, tmp_path: Path) -> str:
    return f"{scim_url}/{tmp_path.name}"


@pytest.fixture
def registrar() -> Iterator[tuple[Tenant, str]]:
    """How the SIS is told."""
    with record_server() as there:
        yield there.tenant("sis"), f"{there.url}/sis"


@pytest.fixture
def place(tmp_path: Path, url: str, registrar: tuple[Tenant, str]) -> Place:
    return laid_out(tmp_path, url, registrar[1])


async def test_e_mail_comes_from_the_identity_provider_and_a_clerks_edit_is_set_right(
    place: Place, url: str, registrar: tuple[Tenant, str], tmp_path: Path
) -> None:
    export = sampled(tmp_path, students=20)
    ada, *_ = students(export)
    theirs = make_account(
        url,
        userName="ada",
        userType="student",
        emails=[{"type": "work", "value": "Ada@Idp.Org"}],
        **{ENTERPRISE: {"employeeNumber": ada["identifier"]}},
    )
    vendor = make_account(url, userName="backup", userType="student", title="Vendor")
    admin = make_account(url, userName="admin")

    with Router(place) as router:
        await router.start()
        district = District(place, url, registrar[0])
        await district.polled()
        await through(place, export)
        await district.polled()

        # The account that was there is the student's, by the rule; all others have got one.
        assert (await district.says("explain", f"idp:{theirs['id']}"))["key"] == f"student/{ada['sourcedId']}"
        assert district.account(theirs["id"])["externalId"] == ada["sourcedId"]
        assert [len(accounts(url, each["sourcedId"])) for each in students(export)] == [1] * 20
        assert len(call(f"{url}/Users?count=1")["Resources"]) and call(f"{url}/Users")["totalResults"] == 22
        # What we have made is known when it is read: nothing waits but the vendor's.
        waiting = (await district.says("unmatched", "list"))["unmatched"]
        assert [each["local_id"] for each in waiting] == [vendor["id"]]
        # Its e-mail is everybody's, also the SIS's, whose own was another one.
        assert district.warehouse(ada["sourcedId"])["email"] == "ada@idp.org"
        assert district.sis[ada["sourcedId"]]["email"] == "ada@idp.org"

        # Edited at the identity provider: it goes to the others, and not back.
        patch(url, theirs["id"], **{'emails[type eq "work"].value': "ada.l@idp.org", "userName": "ada.l"})
        before = district.account(theirs["id"])
        await district.polled()

        assert district.warehouse(ada["sourcedId"])["email"] == "ada.l@idp.org"
        assert district.warehouse(ada["sourcedId"])["username"] == "ada.l"
        assert district.sis[ada["sourcedId"]]["email"] == "ada.l@idp.org"
        assert district.account(theirs["id"]) == before

        # The SIS takes up in the night what it was told, and exports it: that is no news.
        def takes_up(row: dict[str, str]) -> None:
            if there := district.sis.get(row["sourcedId"]):
                row["email"], row["username"] = there["email"] or "", there["username"] or ""

        day_2 = edited(export, tmp_path / "day2.zip", takes_up)
        await through(place, day_2)

        # A clerk types another one into the SIS: refused, and set right there. Nobody else hears of it.
        district.sis[ada["sourcedId"]]["email"] = "clerk@sis.org"

        def clerk(row: dict[str, str]) -> None:
            if row["sourcedId"] == ada["sourcedId"]:
                row["email"] = "clerk@sis.org"

        await through(place, edited(day_2, tmp_path / "day3.zip", clerk))
        await district.polled()
        explained = await district.says("explain", f"student/{ada['sourcedId']}")

        assert explained["fields"]["email"]["value"] == "ada.l@idp.org"
        assert list(explained["fields"]["email"]["claims"]) == ["sis"]
        assert district.sis[ada["sourcedId"]]["email"] == "ada.l@idp.org"
        assert district.warehouse(ada["sourcedId"])["email"] == "ada.l@idp.org"
        assert district.account(theirs["id"]) == before
        refused = [
            r for r in await district.audited() if r.step is Step.EVENT and r.outcome is Outcome.REFUSED
        ]
        assert [(r.source, r.fields) for r in refused] == [("sis", ("email",))]

        # No accounts but theirs and ours, and nobody touched what is not the hub's.
        assert call(f"{url}/Users")["totalResults"] == 22
        assert district.account(vendor["id"]) == vendor
        assert district.account(admin["id"]) == admin
        assert (await district.says("conflicts", "list"))["conflicts"] == []


async def test_20_an_edit_there_outlives_a_delivery_that_did_not_know_of_it(
    tmp_path: Path, url: str, registrar: tuple[Tenant, str]
) -> None:
    place = laid_out(tmp_path, url, registrar[1], every="1h")  # it is looked at when the router starts
    export = sampled(tmp_path, students=20)
    ada, *_ = students(export)
    theirs = make_account(
        url,
        userName="ada",
        userType="student",
        emails=[{"type": "work", "value": "ada@idp.org"}],
        **{ENTERPRISE: {"employeeNumber": ada["identifier"]}},
    )

    def renamed(row: dict[str, str]) -> None:
        if row["sourcedId"] == ada["sourcedId"]:
            row["givenName"] = "Adelaide"

    with Router(place) as router:
        await router.start()
        district = District(place, url, registrar[0])
        await through(place, export)
        await district.polled(0)
        assert district.warehouse(ada["sourcedId"])["email"] == "ada@idp.org"
        patch(url, theirs["id"], **{'emails[type eq "work"].value': "ada.l@idp.org"})

        # The SIS changes her name before anybody has looked: her account gets that, and keeps its e-mail.
        await through(place, edited(export, tmp_path / "day2.zip", renamed))
        await district.polled(0)
        account = district.account(theirs["id"])
        assert (account["name"]["givenName"], account["emails"][0]["value"]) == ("Adelaide", "ada.l@idp.org")
        left = [r.reason for r in await district.audited() if r.destination == "idp" and "edited" in r.reason]
        assert left == ["edited there since it was looked at, and left so: emails.work"]

        router.stop()
        await router.start()
        await until(lambda: district.warehouse(ada["sourcedId"])["email"] == "ada.l@idp.org")
        assert (await district.says("conflicts", "list"))["conflicts"] == []
