"""Errors as answers: JSON with our codes for programs, a page for people, never a traceback."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from dashboards.render import render
from tasks import errors
from tasks.lake.views import damage

log = logging.getLogger("nightscribe")
FOR_PROGRAMS = ("/api/", "/media/")
RETRY_AFTER_S = "5"
_STATUS: tuple[tuple[type[errors.NightscribeError], int], ...] = (
    (errors.BadQuery, 400),
    (errors.NotFound, 404),
    (errors.BucketNotFound, 404),
    (errors.ObjectChanged, 404),
    (errors.AccessDenied, 404),  # which keys there are is nobody's business
    (errors.Permanent, 422),
    (errors.Transient, 503),
    (errors.Misconfigured, 503),
)


def status_of_error(error: errors.NightscribeError) -> int:
    """The HTTP status of an error of ours."""
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def answer_problem(
    scope: Scope, status: int, code: str, message: str, headers: Mapping[str, str] | None = None, following: str = ""
) -> Response:
    """An error for whoever asked: a JSON document below `/api` and `/media`, else a page."""
    head = dict(headers or {})
    if status == 503:
        head["Retry-After"] = RETRY_AFTER_S
    if scope["path"].startswith(FOR_PROGRAMS):
        return JSONResponse({"error": {"code": code, "message": message, "next": following}}, status, head)
    page = render("problem.html", title="Sorry", status=status, message=message, following=following)
    return Response(page, status, head, "text/html; charset=utf-8")


def install(app: FastAPI) -> None:
    """Handlers for all that can be raised below a route."""

    async def ours(request: Request, error: Exception) -> Response:
        assert isinstance(error, errors.NightscribeError)
        status = status_of_error(error)
        if isinstance(error, errors.Misconfigured) and status == 503:  # for those who run the server
            log.warning("%s %s", error, error.next)
        return answer_problem(request.scope, status, error.code, str(error), following=error.next)

    async def invalid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0] if error.errors() else {"loc": (), "msg": "It does not fit."}
        where = ".".join(str(part) for part in first["loc"][1:]) or "body"
        return answer_problem(request.scope, 422, "bad_request", f"{where}: {first['msg']}", following="See /api/docs.")

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        said = {404: ("not_found", "There is nothing here."), 405: ("bad_method", "That cannot be done here.")}
        code, message = said.get(error.status_code, ("bad_request", str(error.detail)))
        return answer_problem(request.scope, error.status_code, code, message, error.headers)

    async def unexpected(request: Request, error: Exception) -> Response:
        damaged = damage(error)
        if damaged is not None:
            return await ours(request, damaged)
        log.exception("Unexpected, at %s:", request.url.path, exc_info=error)
        message = "Something that should not happen. The server's log has the details."
        return answer_problem(request.scope, 500, errors.Unexpected.code, message)

    async def gone(request: Request, error: Exception) -> Response:
        return answer_problem(request.scope, 400, "bad_request", "The request broke off.")  # that nobody will read

    app.add_exception_handler(ClientDisconnect, gone)
    app.add_exception_handler(errors.NightscribeError, ours)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Exception, unexpected)
