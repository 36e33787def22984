"""Where a mapped field stands in an account, and what must be patched so that it has a value. Pure.

A field is named by its SCIM path, shortened: `userName`, `name.givenName`, `emails.work` (the value of the
e-mail address of that type), `addresses.home.locality`, `enterprise.employeeNumber`. Attribute names are
matched without case, as RFC 7643 section 2.1 says.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from scim2_models import EnterpriseUser, Path, User

from bus.messages import Value

Json = dict[str, Any]

ENTERPRISE: Final = str(EnterpriseUser.__schema__)
CORE: Final = str(User.__schema__)
_PATH: Final[Any] = Path[User[EnterpriseUser]]
_RESERVED: Final = {"id", "externalid", "meta", "schemas", "password", "groups"}
"""Names no mapping may write: the service's, the hub's own, and a secret."""


USUAL: Final = (
    *("userName", "displayName", "nickName", "title", "userType", "active", "preferredLanguage", "locale"),
    *(f"name.{part}" for part in ("givenName", "familyName", "middleName", "formatted", "honorificPrefix")),
    *("emails.work", "emails.home", "phoneNumbers.work", "phoneNumbers.home", "phoneNumbers.mobile"),
    *(f"addresses.home.{part}" for part in ("streetAddress", "locality", "region", "postalCode", "country")),
    *(f"enterprise.{part}" for part in ("employeeNumber", "department", "division", "organization")),
)
"""Names that a mapping usually has, for who misspells one. There are more."""


class NoAttribute(Exception):
    """A field that no account has, or that is not for a mapping to write. The text says which."""


class Refused(Exception):
    """A value cannot stand in its attribute. The text names the field, never the value."""


class Attribute(NamedTuple):
    """A place in an account: `schema` '' for the core, `type` '' for an attribute with one value, `sub` ''
    for a simple one.
    """

    field: str
    schema: str
    name: str
    type: str
    sub: str
    boolean: bool

    @property
    def path(self) -> str:
        """For a PATCH (RFC 7644 section 3.5.2)."""
        prefix = f"{self.schema}:" if self.schema else ""
        return prefix + self.entry + (f".{self.sub}" if self.sub else "")

    @property
    def entry(self) -> str:
        """The path of the value that it is a part of."""
        return f'{self.name}[type eq "{self.type}"]' if self.type else self.name


EXTERNAL_ID: Final = Attribute("externalId", "", "externalId", "", "", False)
ACTIVE: Final = Attribute("active", "", "active", "", "", True)
USER_NAME: Final = Attribute("userName", "", "userName", "", "", False)


def attribute(field: str) -> Attribute:
    """Raises NoAttribute."""
    schema, _, rest = field.partition(".") if field.lower().startswith("enterprise.") else ("", "", field)
    names = rest.split(".")
    if names[0].lower() in _RESERVED:
        raise NoAttribute(f"{field} cannot be mapped: externalId is always the record's id there")

    binding = _resolve(names, bool(schema))
    if binding is None:
        raise NoAttribute(f"{field} is no attribute of an account")
    name = _alias(binding.model, binding.field_name)
    sub = _alias(binding.field_type, binding.sub_field_name) if binding.sub_field_name else ""
    type_ = names[1] if binding.is_multivalued else ""
    leaf = binding.sub_field_type or binding.field_type
    return Attribute(field, ENTERPRISE if schema else "", name, type_, sub, leaf is bool)


def _resolve(names: list[str], enterprise: bool) -> Any:
    prefix = f"{ENTERPRISE}:" if enterprise else ""
    for path in (
        prefix + ".".join(names),
        *((f'{names[0]}[type eq "{names[1]}"].{[*names, "value"][2]}',) if len(names) in (2, 3) else ()),
    ):
        try:
            binding = _PATH(path).resolve()
        except Exception:  # each kind of bad path has an error of its own
            continue
        is_typed = "[" in path
        if binding is None or binding.is_multivalued is not is_typed:
            continue
        if isinstance(binding.sub_field_type or binding.field_type, type) and not hasattr(
            binding.sub_field_type or binding.field_type, "model_fields"
        ):
            return binding
    return None


def _alias(model: Any, field_name: str) -> str:
    return model.model_fields[field_name].serialization_alias or field_name


def value_for(attribute: Attribute, value: Value) -> str | bool | None:
    """The hub's value as the attribute takes it. Raises Refused."""
    if value is None:
        return None
    if isinstance(value, tuple):
        raise Refused(f"{attribute.field}: a list cannot stand in an attribute with one value")
    if attribute.boolean:
        if isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return value == "true"
        raise Refused(f"{attribute.field}: is neither true nor false")
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise Refused(f"{attribute.field}: half a surrogate pair is not Unicode") from None
    return text


def folded(value: Any) -> Any:
    """Text as it is compared where case and blanks around say nothing; blank text is none at all."""
    return value.strip().casefold() or None if isinstance(value, str) else value


def look(account: Mapping[str, Any], attribute: Attribute) -> Any:
    """What the account has there, which may be of any type that JSON has."""
    holder: Any = get(account, attribute.schema) if attribute.schema else account
    value = get(holder, attribute.name)
    if attribute.type:
        value = _typed(value, attribute.type)
    return get(value, attribute.sub) if attribute.sub else value


def get(holder: Any, name: str) -> Any:
    """A member of a JSON object by its name without case, or None."""
    if not isinstance(holder, Mapping):
        return None
    if name in holder:
        return holder[name]
    return next((value for key, value in holder.items() if key.lower() == name.lower()), None)


def _typed(values: Any, type_: str) -> Any:
    entries = [
        v for v in values or () if isinstance(v, Mapping) and str(get(v, "type")).lower() == type_.lower()
    ]
    return next((entry for entry in entries if get(entry, "primary")), entries[0] if entries else None)


def differing(
    account: Mapping[str, Any], wanted: Mapping[Attribute, str | bool | None]
) -> dict[Attribute, str | bool | None]:
    """What of `wanted` the account does not have yet."""
    return {attribute: value for attribute, value in wanted.items() if look(account, attribute) != value}


def written(account: Mapping[str, Any], wanted: Mapping[Attribute, str | bool | None]) -> Json:
    """The whole account with these values: for POST and PUT."""
    result: Json = {key: value for key, value in account.items() if key.lower() != "meta"}
    for attribute, value in wanted.items():
        holder = _child(result, attribute.schema) if attribute.schema else result
        if attribute.type:
            _write_typed(holder, attribute, value)
            continue
        if attribute.sub:
            holder = _child(holder, attribute.name)
        _set(holder, attribute.sub or attribute.name, value)
    if attributes_of_enterprise := get(result, ENTERPRISE):
        result["schemas"] = list(dict.fromkeys([*result.get("schemas", [CORE]), ENTERPRISE]))
    elif attributes_of_enterprise is not None:
        _set(result, ENTERPRISE, None)
    result.setdefault("schemas", [CORE])
    return {key: value for key, value in result.items() if value != {} and value != []}


def _child(holder: Json, name: str) -> Json:
    child = dict(get(holder, name) or {})
    _set(holder, name, child)
    return child


def _set(holder: Json, name: str, value: Any) -> None:
    for key in [key for key in holder if key.lower() == name.lower()]:
        del holder[key]
    if value is not None:
        holder[name] = value


def _write_typed(holder: Json, attribute: Attribute, value: str | bool | None) -> None:
    values = [dict(entry) for entry in get(holder, attribute.name) or ()]
    entry = _typed(values, attribute.type)
    if entry is None and value is not None:
        entry = {"type": attribute.type}
        if not any(get(other, "primary") for other in values):
            entry["primary"] = True
        values.append(entry)
    if entry is not None:
        _set(entry, attribute.sub, value)
    kept = [e for e in values if e is not entry or set(e) - {"type", "primary", "display"}]
    _set(holder, attribute.name, kept)


def operations(account: Mapping[str, Any], wanted: Mapping[Attribute, str | bool | None]) -> list[Json]:
    """The PATCH that gives the account these values. A replace of what is not there adds it
    (RFC 7644 section 3.5.2.3); only an entry of a list must be added as one.
    """
    result: list[Json] = []
    after = written(account, wanted)
    entries: set[str] = set()
    for attribute, value in wanted.items():
        if attribute.type:
            before, now = (_typed(get(a, attribute.name), attribute.type) for a in (account, after))
            if before is None or now is None:
                if attribute.entry not in entries:
                    entries.add(attribute.entry)
                    result += _whole_entry(attribute, before, now)
                continue
        if value is None:
            result.append({"op": "remove", "path": attribute.path})
        else:
            result.append({"op": "replace", "path": attribute.path, "value": value})
    return result


def _whole_entry(attribute: Attribute, before: Any, now: Any) -> Iterable[Json]:
    if now is not None:
        yield {"op": "add", "path": attribute.name, "value": [now]}
    elif before is not None:
        yield {"op": "remove", "path": attribute.entry}
