"""Errors as RFC 9457 problem documents: what is wrong, with which value, and the way out."""

from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from tollway.api.ports import LogUnavailable, StoreUnavailable
from tollway.contract.moments import MalformedMoment

__all__ = ["PROBLEM_JSON", "Problem", "install_problems"]

PROBLEM_JSON = "application/problem+json"


class Problem(Exception):
    """A request that cannot be answered as asked; `code` is a stable word."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail


def install_problems(app: FastAPI) -> None:
    @app.exception_handler(Problem)
    def _problem(request: Request, problem: Problem) -> JSONResponse:
        return _document(request, problem.status, problem.code, problem.detail)

    @app.exception_handler(MalformedMoment)
    def _moment(request: Request, error: MalformedMoment) -> JSONResponse:
        return _document(request, 422, "malformed-time", str(error))

    @app.exception_handler(StoreUnavailable)
    def _store(request: Request, error: StoreUnavailable) -> JSONResponse:
        return _document(request, 503, "store-unavailable", str(error))

    @app.exception_handler(LogUnavailable)
    def _log(request: Request, error: LogUnavailable) -> JSONResponse:
        return _document(request, 503, "log-unavailable", str(error))

    @app.exception_handler(HTTPException)
    def _http(request: Request, error: HTTPException) -> JSONResponse:
        phrase = HTTPStatus(error.status_code).phrase
        detail = str(error.detail)
        if detail == phrase:
            detail = f"there is no {request.method} of this address; /openapi.json lists what is"
        answer = _document(request, error.status_code, phrase.lower().replace(" ", "-"), detail)
        answer.headers.update(error.headers or {})
        return answer

    @app.exception_handler(RequestValidationError)
    def _invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        # What was sent is not repeated: it may hold what should not be logged.
        errors = [
            {"field": ".".join(str(part) for part in each["loc"]), "message": _plain(each["msg"])}
            for each in error.errors()
        ]
        detail = "; ".join(f"{each['field']}: {each['message']}" for each in errors)
        if errors[0]["field"] == "body" and not _is_json(request):
            # As a browser's form would be sent, which no key keeps out.
            detail = "body: is read with the header Content-Type: application/json only"
        return _document(request, 422, "invalid-request", detail, errors=errors)


def _plain(message: str) -> str:
    """Without what names a kind of error, and the budget whose name the address has."""
    return message.removeprefix("Value error, ").replace("budget '' ", "a budget ", 1)


def _is_json(request: Request) -> bool:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip()
    return media_type == "application/json" or media_type.endswith("+json")


def _document(
    request: Request,
    status: int,
    code: str,
    detail: str,
    errors: list[dict[str, str]] | None = None,
) -> JSONResponse:
    document: dict[str, object] = {
        "type": f"urn:tollway:problem:{code}",
        "title": code.replace("-", " "),
        "status": status,
        "code": code,
        "detail": detail,
        "instance": request.url.path,
    }
    if errors is not None:
        document["errors"] = errors
    return JSONResponse(document, status_code=status, media_type=PROBLEM_JSON)
