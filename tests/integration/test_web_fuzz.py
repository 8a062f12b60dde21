"""The API fuzzed from its own OpenAPI description: whatever is asked, no answer is a 5xx, and each is as described."""

from __future__ import annotations

import pytest
from web_archive import BANK, archive, web  # noqa: F401

from dashboards.app import create_app
from tasks.settings import Settings

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
checks = pytest.importorskip("schemathesis.specs.openapi.checks")
hypothesis = pytest.importorskip("hypothesis")

EXAMPLES = 40  # of each route
CHECKS = (checks.content_type_conformance, checks.response_schema_conformance)
DESCRIBED = schemathesis.openapi.from_dict(create_app(Settings()).app.openapi())
ROUTES = {route.ok().label: route.ok() for route in DESCRIBED.get_all_operations()}


@pytest.mark.parametrize("label", ROUTES)
def test_no_question_breaks_the_api(web, label):
    asked = []

    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(case=ROUTES[label].as_strategy(), known=hypothesis.strategies.booleans())
    def ask(case, known):
        if known and "video_id" in case.path_parameters:  # chance alone would never meet the id of a video
            case.path_parameters["video_id"] = BANK
        answer = case.call(base_url=str(web.base_url))
        asked.append(answer.status_code)
        assert answer.status_code < 500, answer.text
        case.validate_response(answer, checks=CHECKS)

    ask()
    assert len(asked) >= min(EXAMPLES, 5) or label.endswith(("/health", "/status", "/operations", "/analytics"))
