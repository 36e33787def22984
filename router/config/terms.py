"""`fields:`, `when:` and `normalize:` of a system's file to Terms; every name in them is looked up."""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from router.config.expressions import FUNCTIONS, BadExpression, Expression
from router.config.positions import Document, Path, Problem
from router.config.validation import did_you_mean
from router.core.mapping import BUILT_IN
from router.core.rules import EntityRule, Term
from router.core.spelling import NORMALIZE

_NAME: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*", re.ASCII)
_CONSTANTS: Final = ("true", "false", "null")


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What a term may name. `known` None: nobody can say (the columns of a system that we have not seen).

    `dotted`: a name with a dot may be there too, known or not (OneRoster's `metadata.x`).
    """

    known: Collection[str] | None
    what: str
    dotted: bool = False

    def may_be(self, name: str) -> bool:
        return self.known is None or name in self.known or (self.dotted and "." in name)


@dataclass(frozen=True, slots=True, kw_only=True)
class TermReader:
    """Reads the terms of one document, and gathers what is wrong with them."""

    document: Document
    problems: list[Problem] = field(default_factory=list)

    def term(self, path: Path, name: str, text: str, names: Names, normalize: tuple[str, ...] = ()) -> Term:
        """One line of `fields:`: a column, or an expression."""
        text = text.strip()
        is_column = names.known is not None and text in names.known
        if is_column or (_NAME.fullmatch(text) and text not in _CONSTANTS):
            self._look_up(path, text, (text,), names)
            return Term(field=name, text=text, column=text, normalize=normalize)
        return Term(field=name, text=text, program=self.program(path, text, names), normalize=normalize)

    def program(self, path: Path, text: str, names: Names) -> Expression | None:
        """An expression whose names and functions exist."""
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


def record_names(entity: EntityRule) -> Names:
    """What a destination's terms may name."""
    return Names(known=(*entity.fields, *BUILT_IN), what=f"field of {entity.name}")


def _is_date_format(step: str) -> bool:
    if "%" not in step:
        return False
    try:
        datetime.strptime(datetime(2000, 1, 1, tzinfo=UTC).strftime(step), step)  # noqa: DTZ007
    except ValueError:
        return False
    return True
