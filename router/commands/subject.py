"""`yellowbus subject`: where on CHANGES a record stands."""

from pathlib import Path

import click

from bus import subjects
from bus.errors import YellowbusError
from router.config import ConfigErrors, check_folder, config_option, state_option
from router.config.validation import did_you_mean


@click.command()
@config_option
@state_option
@click.argument("key", metavar="ENTITY/ID")
def subject(config: Path, state: Path, key: str) -> None:
    """Print the subject of a record.

    As in: nats stream get CHANGES --last-for $(yellowbus subject student/1001)
    """
    district, problems = check_folder(config, state)
    if district is None:
        raise ConfigErrors(problems)
    entity, slash, id_ = key.partition("/")
    if not slash or not id_:
        raise click.UsageError(f'"{key}" is no record key (expected ENTITY/ID, as in student/1001)')
    if entity not in district.entities:
        raise click.UsageError(f'"{entity}" is no entity here. {did_you_mean(entity, district.entities)}')
    if district.key == bytes(len(district.key)):
        raise YellowbusError(f"{state}: the district has no key yet. Start the router once: yellowbus up")
    click.echo(subjects.change(entity, subjects.Tokens(district.key)(key)))
