"""The commands' way to the API: one request, and a document or one line that says why not."""

from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from tollway.cli.failing import fail
from tollway.cli.where import api_address

__all__ = ["Api", "Document"]

# JSON as the api documents it.
Document = dict[str, Any]  # Any: values of JSON are read by name, and a wrong name is a test's find
Parameters = Mapping[str, str | int | bool | None]

TIMEOUT_SECONDS = 30.0


class Api:
    """Use as a context manager."""

    def __init__(self, address: str | None = None) -> None:
        import httpx2

        self.address = api_address(address)
        self._http = httpx2.Client(
            base_url=self.address,
            timeout=TIMEOUT_SECONDS,
            # A proxy of the environment has no way to a loopback address.
            trust_env="://127.0.0.1" not in self.address and "://localhost" not in self.address,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._http.close()

    def get(self, path: str, **parameters: str | int | bool | None) -> Document:
        return self._ask("GET", path, parameters)

    def delete(self, path: str, **parameters: str | int | bool | None) -> Document:
        return self._ask("DELETE", path, parameters)

    def put(self, path: str, body: Document) -> Document:
        return self._ask("PUT", path, {}, body)

    def post(self, path: str, body: Document) -> Document:
        return self._ask("POST", path, {}, body)

    def status(self, path: str) -> tuple[int, Document]:
        """The answer as it is, also where it is no success."""
        import httpx2

        try:
            answer = self._http.get(path)
            return answer.status_code, answer.json()
        except (httpx2.HTTPError, ValueError) as error:
            return 0, {"detail": str(error)}

    def _ask(
        self, method: str, path: str, parameters: Parameters, body: Document | None = None
    ) -> Document:
        import httpx2

        given = {name: value for name, value in parameters.items() if value is not None}
        try:
            answer = self._http.request(method, path, params=given, json=body)
        except httpx2.TimeoutException:
            fail(f"the api at {self.address} did not answer within {TIMEOUT_SECONDS:.0f} s")
        except httpx2.HTTPError as error:
            fail(
                f"the api at {self.address} cannot be reached ({error}); is `tollway up` running,"
                " and is TOLLWAY_API right?"
            )
        try:
            document: Document = answer.json()
        except ValueError:
            fail(f"{self.address} answered {answer.status_code} and no JSON: is it Tollway's api?")
        if answer.is_error:
            fail(_wrong(document) or f"the api answered {answer.status_code}")
        return document


def _wrong(problem: Document) -> str:
    """Whoever types options does not know of a body."""
    errors = problem.get("errors") or []
    fields = [(str(each["field"]).removeprefix("body").lstrip("."), each) for each in errors]
    lines = [f"{field}: {each['message']}" if field else each["message"] for field, each in fields]
    return "; ".join(lines) or str(problem.get("detail") or "")
