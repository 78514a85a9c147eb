"""Which spans tell of spend, and whose it is, by their attributes; needs no OpenTelemetry."""

import subprocess
import sys

import pytest

from tollway.producers.otel.names import kind_of, tool_of, who
from tollway.producers.otel.providers import provider_of


@pytest.mark.parametrize(
    ("attributes", "kind"),
    [
        ({"gen_ai.operation.name": "chat"}, "llm"),
        ({"gen_ai.operation.name": "text_completion"}, "llm"),
        ({"gen_ai.operation.name": "generate_content"}, "llm"),
        ({"gen_ai.operation.name": "embeddings"}, "llm"),
        ({"gen_ai.operation.name": "acompletion"}, "llm"),
        ({"gen_ai.operation.name": "execute_tool"}, "tool"),
        ({"gen_ai.operation.name": "invoke_agent"}, "agent"),
        ({"gen_ai.operation.name": "invoke_workflow"}, "around"),
        ({"gen_ai.operation.name": "create_agent"}, "agent"),
        ({"gen_ai.operation.name": "retrieval"}, ""),
        ({"gen_ai.operation.name": "fetch_response"}, ""),
        ({"gen_ai.operation.name": "plan"}, ""),
        ({"openinference.span.kind": "LLM"}, "llm"),
        ({"openinference.span.kind": "EMBEDDING"}, "llm"),
        ({"openinference.span.kind": "TOOL"}, "tool"),
        ({"openinference.span.kind": "AGENT"}, "agent"),
        ({"openinference.span.kind": "CHAIN"}, "around"),
        ({"openinference.span.kind": "RETRIEVER"}, ""),
        ({"llm.request.type": "chat"}, "llm"),
        ({"llm.request.type": "rerank"}, ""),
        ({"traceloop.span.kind": "tool"}, "tool"),
        ({"traceloop.span.kind": "workflow"}, "around"),
        ({"traceloop.span.kind": "agent"}, "agent"),
        ({"gen_ai.operation.name": "chat", "langsmith.span.kind": "llm"}, "llm"),
        ({"gen_ai.operation.name": "chat", "langsmith.span.kind": "prompt"}, ""),
        ({"gen_ai.operation.name": "embeddings", "langsmith.span.kind": "retriever"}, ""),
        ({"gen_ai.operation.name": 7, "http.request.method": "POST"}, ""),
        ({}, ""),
    ],
)
def test_only_inference_is_spend_of_a_model(attributes: dict[str, object], kind: str) -> None:
    assert kind_of(attributes) == kind


@pytest.mark.parametrize(
    ("attributes", "provider"),
    [
        ({"gen_ai.provider.name": "openai"}, "openai"),
        ({"gen_ai.system": "OpenAI"}, "openai"),
        ({"gen_ai.provider.name": "aws.bedrock"}, "aws"),
        ({"gen_ai.system": "AWS"}, "aws"),
        ({"gen_ai.provider.name": "azure.ai.openai"}, "azure"),
        ({"gen_ai.system": "az.ai.inference"}, "azure"),
        ({"gen_ai.provider.name": "gcp.gemini"}, "google"),
        ({"gen_ai.provider.name": "gcp.vertex_ai"}, "google"),
        ({"gen_ai.provider.name": "gcp.gen_ai"}, "google"),
        ({"gen_ai.provider.name": "x_ai"}, "x-ai"),
        ({"gen_ai.provider.name": "mistral_ai"}, "mistral"),
        ({"gen_ai.provider.name": "moonshot_ai"}, "moonshotai"),
        ({"llm.provider": "azure", "llm.system": "openai"}, "azure"),
        ({"llm.system": "vertexai"}, "google"),
        ({"gen_ai.system": "strands-agents"}, ""),
        ({"gen_ai.system": "Langchain", "llm.provider": "openai"}, "openai"),
        ({"gen_ai.system": "unknown"}, ""),
        ({"gen_ai.system": "openai", "server.address": "api.groq.com"}, "groq"),
        ({"gen_ai.system": "openai", "server.address": "mine.openai.azure.com"}, "azure"),
        (
            {"gen_ai.system": "openai", "server.address": "localhost", "server.port": 11434},
            "ollama",
        ),
        (
            {"gen_ai.system": "openai", "gen_ai.openai.api_base": "https://openrouter.ai/api/v1/"},
            "openrouter",
        ),
        ({"gen_ai.system": "openai", "server.address": "proxy.example"}, "openai"),
        ({"gen_ai.system": "openai", "server.address": "http://[bad"}, "openai"),
        ({}, ""),
    ],
)
def test_a_provider_has_the_id_that_prices_and_responses_give_it(
    attributes: dict[str, object], provider: str
) -> None:
    assert provider_of(attributes) == provider


def test_agents_conversations_users_and_workflows_are_found_in_every_dialect() -> None:
    assert who(
        {
            "gen_ai.agent.name": "researcher",
            "gen_ai.conversation.id": "c-1",
            "gen_ai.workflow.name": "triage",
            "user.id": "u-1",
        },
        "around",
    ) == {"agent": "researcher", "session": "c-1", "user": "u-1", "workflow": "triage"}
    assert who({"agent.name": "writer", "session.id": "s-1"}, "around") == {
        "agent": "writer",
        "session": "s-1",
    }
    assert who(
        {
            "traceloop.span.kind": "agent",
            "traceloop.entity.name": "planner",
            "traceloop.workflow.name": "trip",
            "traceloop.association.properties.session_id": "s-2",
        },
        "around",
    ) == {"agent": "planner", "session": "s-2", "workflow": "trip"}
    assert who({"gen_ai.agent.id": "asst_1"}, "agent") == {"agent": "asst_1"}


def test_a_tool_is_named_by_its_attribute_else_by_its_span() -> None:
    assert tool_of({"gen_ai.tool.name": "search"}, "execute_tool x") == "search"
    assert tool_of({"tool.name": "lookup"}, "anything") == "lookup"
    assert tool_of({}, "execute_tool weather") == "weather"


WITHOUT_SDK = """
import sys
sys.modules["opentelemetry"] = None
from tollway.producers import otel
from tollway.producers.otel.reading import usage_of_span
try:
    otel.SpanProcessor
except ImportError as error:
    print(error)
"""


def test_without_opentelemetry_the_way_out_is_named() -> None:
    told = subprocess.run(
        [sys.executable, "-c", WITHOUT_SDK], capture_output=True, text=True, check=True, timeout=60
    )

    assert told.stdout == (
        "SpanProcessor needs opentelemetry-sdk; install it with: pip install 'tollway[otel]'\n"
    )
