"""The few exceptions that the shell acts on. Anything else is a bug and stops the process.

A message says: where: what was found (what was expected). What to do next. Never a value of student data.
"""


class YellowbusError(Exception):
    """An error whose text is written for the person on call.

    `runbook` is the reason code: `runbooks/<runbook>.md` says what to do.
    """

    def __init__(self, message: str, *, runbook: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.runbook = runbook

    def __str__(self) -> str:
        return f"{self.message} (runbooks/{self.runbook}.md)" if self.runbook else self.message


class Unavailable(YellowbusError):
    """The far end cannot answer now; what was to be done is kept and tried again.

    `retry_after_s` is what the far end asked for, in seconds (HTTP Retry-After), if it said.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None, runbook: str = "") -> None:
        super().__init__(message, runbook=runbook)
        self.retry_after_s = retry_after_s


class ConfigError(YellowbusError):
    """A setting is wrong; nothing starts on it."""


class Refused(YellowbusError):
    """A read is not complete, so nothing of it is taken: no event, no removal.

    `reasons` are for the report beside the file, each with file, line and column where there is one.
    """

    def __init__(self, reasons: list[str], *, code: str, runbook: str = "refused-file") -> None:
        super().__init__("; ".join(reasons[:3]), runbook=runbook)
        self.reasons = reasons
        self.code = code


class Garbage(YellowbusError):
    """A body that is not one of our messages. Its event is settled `invalid`, never a crash."""


class BusError(YellowbusError):
    """The bus said no."""


class WrongSequence(BusError):
    """An Expected-Last-Subject-Sequence did not match (10071, 10164): there is another writer, or an answer
    was lost. Nothing of the batch was stored. Catch up from the stream, then go on.
    """


class StreamFull(BusError):
    """The stream or the disk has no room (10077, 10047, 10023, 503). Stop taking; nothing is dropped."""


class Denied(BusError):
    """This credential has no right to that subject."""
