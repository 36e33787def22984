"""`fields:`, `when:` and `normalize:` of a system's file to Terms; every name in them is looked up."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from router.config.expressions import FUNCTIONS, BadExpression, Expression
from router.config.positions import Document, Path, Problem
from router.config.samples import TOLD, TRUTH, Wanted, misuse
from router.config.validation import did_you_mean
from router.core.mapping import BUILT_IN
from router.core.rules import EntityRule, FieldRule, Term, Type
from router.core.spelling import NORMALIZE

_NAME: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_CONSTANTS: Final = ("true", "false", "null")


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What a term may name. `known` None: nobody can say (the columns of a system that we have not seen).

    `dotted`: a name with a dot may be there too, known or not (OneRoster's `metadata.x`). `types`: of those
    that are not text; None: nobody can say. `blank`: what one without a value is in an expression.
    """

    known: Collection[str] | None
    what: str
    dotted: bool = False
    types: Mapping[str, Type] | None = field(default_factory=dict)
    blank: object = None

    def may_be(self, name: str) -> bool:
        return self.known is None or name in self.known or (self.dotted and "." in name)


@dataclass(frozen=True, slots=True, kw_only=True)
class TermReader:
    """Reads the terms of one document, and gathers what is wrong with them."""

    document: Document
    problems: list[Problem] = field(default_factory=list)

    def term(
        self,
        path: Path,
        name: str,
        text: str,
        names: Names,
        normalize: tuple[str, ...] = (),
        wanted: Wanted = TOLD,
    ) -> Term:
        """One line of `fields:`: a column, or an expression that gives what is wanted."""
        text = text.strip()
        is_column = names.known is not None and text in names.known
        if is_column or (_NAME.fullmatch(text) and text not in _CONSTANTS):
            self._look_up(path, text, (text,), names)
            return Term(field=name, text=text, column=text, normalize=normalize)
        program = self.program(path, text, names, wanted)
        return Term(field=name, text=text, program=program, normalize=normalize)

    def program(self, path: Path, text: str, names: Names, wanted: Wanted = TRUTH) -> Expression | None:
        """An expression whose names and functions exist, and which may give what is wanted."""
        before = len(self.problems)
        try:
            program = Expression(text)
        except BadExpression as error:
            self._wrong(path, text, str(error))
            return None
        for function in program.functions:
            if function not in FUNCTIONS:
                self._wrong(
                    path, text, f"there is no function {function}(). {did_you_mean(function, FUNCTIONS)}"
                )
        self._look_up(path, text, program.variables, names)
        if len(self.problems) > before or names.types is None:
            return program
        if why := misuse(program, names.types, names.blank, wanted):
            self._wrong(path, text, why)
        return program

    def normalize(self, path: Path, steps: tuple[str, ...]) -> tuple[str, ...]:
        for n, step in enumerate(steps):
            if step not in NORMALIZE and not _is_date_format(step):
                where = (*path, n) if (*path, n) in self.document.places else path
                text = f'"{step}" is neither one of {", ".join(NORMALIZE)} nor a date format as in %m/%d/%Y'
                self.problems.append(self.document.problem(where, text))
        return steps

    def _look_up(self, path: Path, text: str, used: tuple[str, ...], names: Names) -> None:
        for name in used:
            if name.lower() == "password":
                self._wrong(path, text, "a password is never read or sent. Take it out")
            elif not names.may_be(name):
                self._wrong(
                    path, text, f'"{name}" is no {names.what}. {did_you_mean(name, names.known or ())}'
                )

    def _wrong(self, path: Path, text: str, why: str) -> None:
        shown = text if len(text) <= 60 else text[:57] + "..."
        lead = "" if f'"{shown}"' in why else f"{shown}: "
        self.problems.append(self.document.problem(path, lead + why))


def used_fields(term: Term) -> tuple[str, ...]:
    """The names that a term reads."""
    return term.program.variables if term.program else (term.column,)


def record_names(entity: EntityRule, *, typed: bool) -> Names:
    """What a destination's terms may name. `typed`: what is said of their types can be relied on."""
    return Names(
        known=(*entity.fields, *BUILT_IN),
        what=f"field of {entity.name}",
        types=field_types(entity.fields) if typed else None,
    )


def field_types(fields: Mapping[str, FieldRule]) -> dict[str, Type]:
    return {name: field.type for name, field in fields.items()}


def _is_date_format(step: str) -> bool:
    if "%" not in step:
        return False
    try:
        datetime.strptime(datetime(2000, 1, 1, tzinfo=UTC).strftime(step), step)  # noqa: DTZ007
    except ValueError:
        return False
    return True
