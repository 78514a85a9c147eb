"""LiteLLM's proxy: a callback that refuses requests before they are routed, and meters the others.

    litellm_settings:
      callbacks: tollway.producers.adapters.litellm_proxy.handler

The agent is the virtual key's alias, the user and the team the key's, the customer the end user
whom the request names: whoever holds a key can name anyone. A refusal is an HTTP error 402, which
clients do not try again. In the SDK, ``litellm.callbacks = [handler]`` meters, but cannot refuse.
"""

import functools
import sys
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from tollway.producers import process
from tollway.producers.adapters.litellm import failed_usage, provider_named
from tollway.producers.ambient import Fields
from tollway.producers.calls import safely
from tollway.producers.errors import CallBlocked
from tollway.producers.responses import usage_of

__all__ = ["proxy_handler"]

PAYMENT_REQUIRED: Final = 402
_MAX_NAME: Final = 512
_MILLISECOND: Final = timedelta(milliseconds=1)
# The names of LiteLLM's records, and those of its keys, for what we call so.
_OF_RECORD: Final = {
    "agent": "user_api_key_alias",
    "user": "user_api_key_user_id",
    "customer": "user_api_key_end_user_id",
}
_OF_KEY: Final = {"agent": "key_alias", "user": "user_id", "customer": "end_user_id"}


def __getattr__(name: str) -> Any:  # noqa: ANN401 (a CustomLogger, known only when it is there)
    """`handler`: the proxy takes it from the module by its name."""
    if name == "handler":
        return proxy_handler()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@functools.cache
def proxy_handler() -> Any:  # noqa: ANN401 (as above)
    """The process's one handler."""
    from litellm.integrations.custom_logger import CustomLogger

    # The proxy asks only those hooks that are the class's own.
    own = {name: each for name, each in vars(_Callbacks).items() if not name.startswith("__")}
    return type("TollwayProxyHandler", (CustomLogger,), own)()


class _Callbacks:
    """What LiteLLM calls. Beside the refusal, nothing comes out of here."""

    async def async_pre_call_hook(
        self,
        user_api_key_dict: object,
        cache: object,
        data: Mapping[str, Any],
        call_type: str,
    ) -> None:
        fields: Fields = {}
        with safely():
            fields = {
                name: _text(getattr(user_api_key_dict, theirs, None))
                for name, theirs in _OF_KEY.items()
            }
            fields["model"] = _text(data.get("model"))
            fields["session"] = _text(data.get("litellm_session_id"))
        try:
            process.check_fields({name: value for name, value in fields.items() if value})
        except CallBlocked as blocked:
            raise _refusal(blocked) from blocked

    def log_success_event(
        self,
        kwargs: Mapping[str, Any],
        response_obj: object,
        start_time: datetime,
        end_time: datetime,
    ) -> None:
        _meter(kwargs, response_obj, end_time - start_time)

    async def async_log_success_event(
        self,
        kwargs: Mapping[str, Any],
        response_obj: object,
        start_time: datetime,
        end_time: datetime,
    ) -> None:
        _meter(kwargs, response_obj, end_time - start_time)

    def log_failure_event(
        self,
        kwargs: Mapping[str, Any],
        response_obj: object,
        start_time: datetime,
        end_time: datetime,
    ) -> None:
        _meter_failure(kwargs, end_time - start_time)

    async def async_log_failure_event(
        self,
        kwargs: Mapping[str, Any],
        response_obj: object,
        start_time: datetime,
        end_time: datetime,
    ) -> None:
        _meter_failure(kwargs, end_time - start_time)


def _meter(kwargs: Mapping[str, Any], response: object, took: timedelta) -> None:
    with safely():
        record = _record(kwargs)
        if record.get("cache_hit"):
            # Nobody was asked, and nothing is to be paid.
            return
        usage = usage_of(response, provider=_provider(record) or None)
        group = _text(record.get("model_group"))
        if usage.model in {"", group}:
            # The proxy has put the name that its clients know in the response.
            usage = msgspec.structs.replace(usage, model=_model(record))
        _book(kwargs, record, usage.fields(), took)


def _meter_failure(kwargs: Mapping[str, Any], took: timedelta) -> None:
    with safely():
        error = kwargs.get("exception")
        if getattr(error, "llm_provider", None) is None:
            # It is about a request that no provider has seen: a refusal of ours, for one.
            return
        record = _record(kwargs)
        used = failed_usage(error)
        usage = {"provider": _provider(record), "model": _model(record), **used, "status": "error"}
        _book(kwargs, record, usage, took)


def _book(
    kwargs: Mapping[str, Any], record: Mapping[str, Any], used: Fields, took: timedelta
) -> None:
    metadata = record.get("metadata") or {}
    fields = {name: _text(metadata.get(theirs)) for name, theirs in _OF_RECORD.items()}
    parameters = kwargs.get("litellm_params") or {}
    fields["session"] = _text(parameters.get("litellm_session_id") or record.get("session_id"))
    fields["requested_model"] = _text(record.get("model_group"))
    team = _text(metadata.get("user_api_key_team_alias") or metadata.get("user_api_key_team_id"))
    process.booked(
        {
            **{name: value for name, value in fields.items() if value},
            "kind": "llm",
            "tags": {"framework": "litellm", **({"team": team} if team else {})},
            "duration_ms": took // _MILLISECOND,
            **used,
        }
    )


def _provider(record: Mapping[str, Any]) -> str:
    return provider_named(record.get("custom_llm_provider"))


def _model(record: Mapping[str, Any]) -> str:
    """``openai/gpt-4o`` where the provider is ``openai``."""
    return _text(record.get("model")).removeprefix(f"{record.get('custom_llm_provider')}/")


def _record(kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """LiteLLM's own account of the call; the prompt in it is not read."""
    record: Mapping[str, Any] = kwargs.get("standard_logging_object") or {}
    return record


def _refusal(blocked: CallBlocked) -> Exception:
    """As the proxy tells a client; in a process without the proxy's parts, the refusal itself."""
    fastapi: Any = sys.modules.get("fastapi")
    if fastapi is None:
        return blocked
    detail = {
        "error": {
            "message": blocked.message,
            "type": blocked.reason,
            "spent": blocked.spent,
            "limit": blocked.limit,
            "expires_at": blocked.expires_at,
        }
    }
    refusal: Exception = fastapi.HTTPException(status_code=PAYMENT_REQUIRED, detail=detail)
    return refusal


def _text(value: object) -> str:
    return str(value)[:_MAX_NAME] if value else ""
