"""A person is told of what waits for others for too long."""

from simulation.by_hand import alerts, empty_town, event, say
from simulation.waiting import idp_first

from bus.codec import decode_alert

HOUR_S = 3_600.0


def test_what_waits_longer_than_it_may_is_one_alert_an_hour_with_a_count() -> None:
    with empty_town() as town:
        town.district = idp_first(town.district)
        town.fars["idp"].down_until_s = town.loop.time() + 26 * HOUR_S
        say(town, *[event(str(n), name="Ada", grade="9") for n in range(3)])
        town.live(until_quiet=False, stop_after_s=23.9 * HOUR_S)

        assert "waiting-too-long" not in alerts(town)
        town.live(until_quiet=False, stop_after_s=0.5 * HOUR_S)
        [alert] = [
            decode_alert(stored.body)
            for stored in town.server.streams["ALERTS"].history
            if ".waiting-too-long." in stored.subject
        ]
        assert alert.text.startswith(
            "lms: 3 records have waited for others for more than 24 h;"
            " the first waits for idp: it is not there yet."
        )
        assert town.live()
