"""What a page's address asks for. Fields of a form come empty where nothing was set, so the types of the API do not fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, cast, get_args

from dashboards.api import FURTHEST, LONGEST_TEXT
from tasks.errors import BadQuery
from tasks.search.filters import Filters
from tasks.search.places import PLACES, USUAL, Place, places_of
from tasks.web.analytics import ChartParams, Grain
from tasks.web.near import Sense
from tasks.web.searching import Mode

PAGE = 10


@dataclass(frozen=True)
class SearchForm:
    """The search page's fields; `page` counts from 1."""

    q: str
    mode: Mode
    sense: Sense | None
    plus: str
    minus: str
    said: str
    exact: bool
    typos: bool
    places: str
    filters: Filters
    page: int

    @property
    def within(self) -> tuple[Place, ...]:
        return places_of(self.places) if self.places else USUAL

    @property
    def offset(self) -> int:
        return (self.page - 1) * PAGE

    def values(self) -> dict[str, Any]:
        """The fields as an address has them, without the page."""
        return {
            "q": self.q,
            "mode": self.sense or ("" if self.mode == "words" else self.mode),
            "plus": self.plus,
            "minus": self.minus,
            "said": self.said,
            "exact": "1" if self.exact else "",
            "typos": "1" if self.typos else "",
            "in": self.places,
            **filter_values(self.filters),
        }


def search_form(params: Mapping[str, str]) -> SearchForm:
    """The fields of the search page.

    Raises:
        BadQuery: a value does not fit.
    """
    mode = choice(params, "mode", (*get_args(Mode), *get_args(Sense)), "words")
    sense = cast(Sense, mode) if mode in get_args(Sense) else None
    of_sense = params if sense else {}  # a form sends these fields also where they are not shown
    return SearchForm(
        text(params, "q"),
        cast(Mode, mode if mode in get_args(Mode) else "words"),
        sense,
        text(of_sense, "plus"),
        text(of_sense, "minus"),
        text(of_sense, "said"),
        bool(params.get("exact")),
        bool(params.get("typos")),
        choice(params, "in", ("", *PLACES), ""),
        filters_of(params),
        whole(params, "page", 1, 1, FURTHEST // PAGE + 1),
    )


def filters_of(params: Mapping[str, str]) -> Filters:
    """The filters that search, lists and charts share.

    Raises:
        BadQuery: a value does not fit.
    """
    return Filters(
        text(params, "topic") or None,
        day(params, "since"),
        day(params, "until"),
        text(params, "language") or None,
        share(params, "min_confidence"),
    )


def filter_values(filters: Filters) -> dict[str, Any]:
    """The filters as an address has them."""
    return {
        "topic": filters.topic or "",
        "since": filters.since or "",
        "until": filters.until or "",
        "language": filters.language or "",
        "min_confidence": filters.min_confidence or "",
    }


def asked_of(params: Mapping[str, str]) -> ChartParams:
    """What the charts ask for beside the filters.

    Raises:
        BadQuery: a value does not fit.
    """
    return ChartParams(
        text(params, "phrase"),
        text(params, "word"),
        text(params, "of_topic"),
        cast(Grain, choice(params, "grain", get_args(Grain), "month")),
    )


def text(params: Mapping[str, str], name: str) -> str:
    given = params.get(name, "").strip()
    if len(given) > LONGEST_TEXT:
        raise BadQuery(f"{name} has more than {LONGEST_TEXT} characters.", next="Shorten it.")
    return given


def choice(params: Mapping[str, str], name: str, known: tuple[str, ...], default: str) -> str:
    given = params.get(name) or default
    if given not in known:
        raise BadQuery(f"{name} is one of {', '.join(known)}.")
    return given


def day(params: Mapping[str, str], name: str) -> date | None:
    given = params.get(name, "").strip()
    try:
        return date.fromisoformat(given) if given else None
    except ValueError as error:
        raise BadQuery(f"{name} is a day such as 2024-02-01.") from error


def share(params: Mapping[str, str], name: str) -> float:
    try:
        given = float(params.get(name) or 0)
    except ValueError as error:
        raise BadQuery(f"{name} is a number from 0 to 1.") from error
    if not 0 <= given <= 1:
        raise BadQuery(f"{name} is a number from 0 to 1.")
    return given


def whole(params: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    given = params.get(name, "").strip()
    if not given:
        return default
    if not (given.isascii() and given.isdigit() and len(given) < 16 and least <= int(given) <= most):
        raise BadQuery(f"{name} is a whole number from {least} to {most}.")
    return int(given)
