"""LiteLLM without its look at the internet: it is imported when a test asks for it."""

import importlib
import os
from typing import Any

from answering import ReplayServer
from canary import PROMPT

__all__ = ["MESSAGES", "at", "litellm"]

MESSAGES = [{"role": "user", "content": PROMPT}]


def litellm() -> Any:  # noqa: ANN401 (the module)
    # It would fetch its price list first, three times.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    return importlib.import_module("litellm")


def at(server: ReplayServer) -> dict[str, str]:
    """Where OpenAI is, for a call."""
    return {"api_base": f"{server.url}/v1", "api_key": "none"}
