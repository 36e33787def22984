"""The files of OneRoster CSV 1.1 and 1.2: their columns in order, which are required, how they are misspelt.

Sources: 1EdTech OneRoster CSV tables 1.1.1 and CSV binding 1.2.1. A `*` marks a required column. Of the
gradebook and resource files only the ids are required here: we never judge a score.
"""

from collections.abc import Mapping
from typing import Final, NamedTuple

VERSIONS: Final = ("1.1", "1.2")
COMMON: Final = ("sourcedId", "status", "dateLastModified")
METADATA: Final = "metadata."
"""Extra columns may only be named like this."""

NEVER_READ: Final = frozenset({"password"})
"""Columns that leave the file under no configuration."""


class Table(NamedTuple):
    """One file of the standard."""

    name: str
    columns: tuple[str, ...]
    required: frozenset[str]

    @property
    def file(self) -> str:
        return f"{self.name}.csv"


def _table(name: str, columns: str) -> Table:
    words = ("sourcedId*", "status", "dateLastModified", *columns.split())
    required = frozenset(word[:-1] for word in words if word.endswith("*"))
    return Table(name, tuple(word.rstrip("*") for word in words), required)


def _tables(text: str) -> dict[str, Table]:
    """One table a line, `name: columns`.

    >>> _tables("orgs: name* type* identifier")["orgs"].columns
    ('sourcedId', 'status', 'dateLastModified', 'name', 'type', 'identifier')
    """
    pairs = (line.split(":") for line in text.strip().splitlines())
    return {name.strip(): _table(name.strip(), columns) for name, columns in pairs}


_IN_BOTH: Final = """
academicSessions: title* type* startDate* endDate* parentSourcedId schoolYear*
classes: title* grades courseSourcedId* classCode classType* location schoolSourcedId* termSourcedIds* \
    subjects subjectCodes periods
classResources: title classSourcedId* resourceSourcedId*
courses: schoolYearSourcedId title* courseCode grades orgSourcedId* subjects subjectCodes
courseResources: title courseSourcedId* resourceSourcedId*
demographics: birthDate sex americanIndianOrAlaskaNative asian blackOrAfricanAmerican \
    nativeHawaiianOrOtherPacificIslander white demographicRaceTwoOrMoreRaces hispanicOrLatinoEthnicity \
    countryOfBirthCode stateOfBirthAbbreviation cityOfBirth publicSchoolResidenceStatus
enrollments: classSourcedId* schoolSourcedId* userSourcedId* role* primary beginDate endDate
orgs: name* type* identifier parentSourcedId
resources: vendorResourceId* title roles importance vendorId applicationId
"""

_ONLY_1_1: Final = """
categories: title
lineItems: title description assignDate dueDate classSourcedId* categorySourcedId gradingPeriodSourcedId \
    resultValueMin resultValueMax
results: lineItemSourcedId* studentSourcedId* scoreStatus score scoreDate comment
users: enabledUser* orgSourcedIds* role* username* userIds givenName* familyName* middleName identifier \
    email sms phone agentSourcedIds grades password
"""

_ONLY_1_2: Final = """
categories: title weight
lineItems: title description assignDate dueDate classSourcedId* categorySourcedId \
    academicSessionSourcedId resultValueMin resultValueMax schoolSourcedId
results: lineItemSourcedId* studentSourcedId* scoreStatus score scoreDate comment textScore classSourcedId \
    inProgress incomplete late missing
users: enabledUser* username* userIds givenName* familyName* middleName identifier email sms phone \
    agentSourcedIds grades password userMasterIdentifier preferredGivenName preferredMiddleName \
    preferredFamilyName primaryOrgSourcedId pronouns
roles: userSourcedId* roleType* role* beginDate endDate orgSourcedId* userProfileSourcedId
userProfiles: userSourcedId* profileType* vendorId* applicationId description credentialType* \
    username* password
userResources: userSourcedId* orgSourcedId classSourcedId resourceSourcedId*
scoreScales: title type orgSourcedId courseSourcedId classSourcedId scoreScaleValue
lineItemLearningObjectiveIds: lineItemSourcedId* source learningObjectiveId*
lineItemScoreScales: title lineItemSourcedId* scoreScaleSourcedId*
resultLearningObjectiveIds: resultSourcedId* source learningObjectiveId* score textScore
resultScoreScales: title resultSourcedId* scoreScaleSourcedId*
"""


def _sorted(tables: dict[str, Table]) -> dict[str, Table]:
    return dict(sorted(tables.items(), key=lambda item: item[0].lower()))


TABLES: Final[Mapping[str, Mapping[str, Table]]] = {
    "1.1": _sorted(_tables(_IN_BOTH) | _tables(_ONLY_1_1)),
    "1.2": _sorted(_tables(_IN_BOTH) | _tables(_ONLY_1_2)),
}
"""The tables of each version, by name."""

ROLE_COLUMNS: Final = ("role", "orgSourcedIds")
"""What 1.1 has in users and 1.2 in roles.csv. Here they are columns of `users` in both."""


def _logical() -> dict[str, tuple[str, ...]]:
    names: dict[str, dict[str, None]] = {}
    for version in VERSIONS:
        for table in TABLES[version].values():
            names.setdefault(table.name, {}).update(dict.fromkeys(table.columns))
    return {name: tuple(c for c in columns if c not in NEVER_READ) for name, columns in names.items()}


COLUMNS: Final[Mapping[str, tuple[str, ...]]] = _logical()
"""What a configuration may map: every column of either version, less those that are never read."""

_BY_LOWER_NAME: Final = {name.lower(): name for name in COLUMNS} | {"manifest": "manifest"}

_MISSPELT: Final[Mapping[str, Mapping[str, str]]] = {
    "": {
        "dataLastModified": "dateLastModified",
        "lastModified": "dateLastModified",
        "sourceId": "sourcedId",
        "prefferedGivenName": "preferredGivenName",
        "prefferedMiddleName": "preferredMiddleName",
        "prefferedFamilyName": "preferredFamilyName",
        "grade": "grades",
        "termSourcedId": "termSourcedIds",
        "subject": "subjects",
    },
    "users": {
        "orgs": "orgSourcedIds",
        "orgSourcedId": "orgSourcedIds",
        "agents": "agentSourcedIds",
        "userId": "userIds",
    },
    "demographics": {"userSourcedId": "sourcedId"},
}
"""Headers seen in real exports, by table ('' : any)."""


def table_of(file: str) -> str:
    """The table that a file name means, whatever its case; '' if it is none of the standard's.

    >>> table_of("userprofiles.CSV"), table_of("notes.csv")
    ('userProfiles', '')
    """
    stem, dot, suffix = file.rpartition(".")
    return _BY_LOWER_NAME.get(stem.lower(), "") if dot and suffix.lower() == "csv" else ""


def meant(table: Table, header: str) -> str:
    """The column that a misspelt header means, or ''.

    >>> meant(TABLES["1.2"]["users"], "prefferedGivenName"), meant(TABLES["1.1"]["users"], "Email")
    ('preferredGivenName', 'email')
    """
    misspelt = _MISSPELT.get(table.name, {}).get(header) or _MISSPELT[""].get(header, "")
    if misspelt in table.columns:
        return misspelt
    trimmed = header.strip().lower()
    return next((column for column in table.columns if column.lower() == trimmed), "")
