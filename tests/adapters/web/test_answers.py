"""What any HTTP service may say of itself is read as RFC 9110 has it."""

import ssl
from pathlib import Path

import pytest

from adapters.web.answers import retry_after_s, trust
from bus.errors import ConfigError

NOW_MS = 1_795_000_000_000  # 2026-11-18 11:06:40 UTC


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7.0),
        (" 7 ", 7.0),
        ("Wed, 18 Nov 2026 11:08:10 GMT", 90.0),
        ("Wed, 18 Nov 2026 11:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("٧", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None) -> None:
    assert retry_after_s(text, NOW_MS) == seconds


def test_certificates_are_verified_unless_told_otherwise(tmp_path: Path) -> None:
    assert trust("https://x", True, "lms") is True
    assert trust("https://x", False, "lms") is False
    assert trust("http://x", True, "lms") is False
    with pytest.raises(ConfigError, match=r"^lms: settings.verify: .*No such file"):
        trust("https://x", tmp_path / "none.pem", "lms")


def test_authorities_may_be_a_file() -> None:
    file = ssl.get_default_verify_paths().cafile
    if file is None:
        pytest.skip("no file with authorities on this machine")

    assert isinstance(trust("https://x", Path(file), "lms"), ssl.SSLContext)
