"""The API fuzzed from its own OpenAPI description, with questions that fit it and with others, and the pages with their
fields: whatever is asked, no answer is a 5xx, and each of the API is as described."""

from __future__ import annotations

import pytest
from web_archive import BANK, archive, web  # noqa: F401

from dashboards.app import create_app
from tasks.settings import Settings
from tasks.web.analytics import CHARTS

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
checks = pytest.importorskip("schemathesis.specs.openapi.checks")
hypothesis = pytest.importorskip("hypothesis")
strategies = hypothesis.strategies

EXAMPLES = 12  # of each route, and of each page
QUERIES = 5  # of those that start a process for each
CHECKS = (checks.content_type_conformance, checks.response_schema_conformance)
DESCRIBED = schemathesis.openapi.from_dict(create_app(Settings()).app.openapi())
ROUTES = {route.ok().label: route.ok() for route in DESCRIBED.get_all_operations()}
ASKING = [label for label, route in ROUTES.items() if route.query or route.path_parameters or route.body]
FILTERS = ("topic", "since", "until", "language", "min_confidence")
PAGES = {
    "/": ("q", "mode", "exact", "typos", "page", *FILTERS),
    f"/watch/{BANK}": ("q", "mode", "at", "to"),
    "/analytics": ("phrase", "word", "of_topic", "grain", *FILTERS),
    **{f"/analytics/{name}": ("phrase", "word", "of_topic", "grain", "part", *FILTERS) for name in CHARTS},
    "/sql": ("q",),
    "/login": ("next",),
}
WRITTEN = strategies.one_of(
    strategies.text(max_size=40),
    strategies.sampled_from(
        ["", "0", "-1", "1" * 30, "nan", "2024-02-30", "9999-12-31", "words", "phrase", '"', "*", "a b", "\0"]
    ),
    strategies.integers().map(str),
    strategies.floats().map(str),
    strategies.dates().map(str),
)


def settings(examples: int = EXAMPLES):
    return hypothesis.settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )


def answers_all(web, label, *, fits):
    """Ask a route questions that fit its description, or others; returns how many."""
    asked = []
    mode = schemathesis.GenerationMode.POSITIVE if fits else schemathesis.GenerationMode.NEGATIVE

    @settings(QUERIES if fits and label.endswith("/sql") else EXAMPLES)
    @hypothesis.given(case=ROUTES[label].as_strategy(mode), known=strategies.booleans())
    def ask(case, known):
        if known and "video_id" in case.path_parameters:  # chance alone would never meet the id of a video
            case.path_parameters["video_id"] = BANK
        answer = case.call(base_url=str(web.base_url))
        asked.append(answer.status_code)
        assert answer.status_code < 500, answer.text
        case.validate_response(answer, checks=CHECKS)

    ask()
    return len(asked)


@pytest.mark.parametrize("label", ROUTES)
def test_no_question_breaks_the_api(web, label):
    assert answers_all(web, label, fits=True) >= (3 if label in ASKING else 1)


@pytest.mark.parametrize("label", ASKING)
def test_no_question_that_does_not_fit_breaks_the_api(web, label):
    assert answers_all(web, label, fits=False) >= 3


@pytest.mark.parametrize("path", PAGES)
def test_no_field_breaks_a_page(web, path):
    asked = []

    @settings(QUERIES if path == "/sql" else EXAMPLES)
    @hypothesis.given(fields=strategies.dictionaries(strategies.sampled_from(PAGES[path]), WRITTEN, max_size=4))
    def ask(fields):
        answer = web.get(path, params=fields)
        asked.append(answer.status_code)
        assert answer.status_code < 500, answer.text

    ask()
    assert len(asked) >= 3


def test_no_field_breaks_the_login(web, monkeypatch):
    monkeypatch.setattr("dashboards.login.WRONG_S", 0.0)
    names = strategies.one_of(strategies.sampled_from(["token", "next"]), strategies.text(max_size=5))
    asked = []

    @settings()
    @hypothesis.given(fields=strategies.dictionaries(names, WRITTEN, max_size=14), body=strategies.binary(max_size=200))
    def ask(fields, body):
        for answer in (web.post("/login", data=fields), web.post("/login", content=body)):
            asked.append(answer.status_code)
            assert answer.status_code in (400, 403), answer.text

    ask()
    assert len(asked) >= EXAMPLES
