"""A question that a door does not know, or that comes twice, is refused: it would be misread."""

from fastapi import Request
from fastapi.routing import APIRoute

from tollway.api.problems import Problem

__all__ = ["only_known_parameters"]


def only_known_parameters(request: Request) -> None:
    """Refuses query parameters that the operation does not have, and any that comes twice."""
    route = request.scope["route"]
    if not isinstance(route, APIRoute):
        return
    known = {each.alias for each in route.dependant.query_params}
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if name not in known:
            has = ", ".join(sorted(known)) or "none"
            raise Problem(
                422, "invalid-request", f"query.{name[:40]} is not known here; known are: {has}"
            )
        if names.count(name) > 1:
            raise Problem(422, "invalid-request", f"query.{name} is given twice; give it once")
