"""What a SCIM system's file may say under `settings:`, and how its service is spoken to."""

from pathlib import Path

from pydantic import Field, SecretStr

from adapters.scim.wire import Wire
from adapters.web.answers import trust
from bus import adapter
from bus.durations import Duration


class Settings(adapter.Settings):
    """`url`: the service's base, what comes before `/Users`. `verify`: of
    the TLS certificate: true, false, or a file with the authorities to trust.
    """

    url: str = Field(pattern=r"^https?://[^/]+")
    token: SecretStr | None = None
    timeout_s: float = Field(default=30.0, gt=0)
    verify: bool | Path = True


class SourceSettings(Settings):
    """`every`: how long from the begin of one look to the next, as in 5m. `page`: accounts asked for at a
    time; a service may give fewer.
    """

    every: Duration = Field(default=300.0, gt=0)
    page: int = Field(default=200, ge=2, le=10_000)


def wire_of(settings: Settings, system: str, concurrent: int) -> Wire:
    """The way to the service. Raises ConfigError for authorities that cannot be read."""
    return Wire(
        settings.url,
        settings.token.get_secret_value() if settings.token else "",
        settings.timeout_s,
        concurrent,
        trust(settings.url, settings.verify, system),
    )
