"""Which model a reported name stands for."""

import pytest

from tollway.domain.prices import Catalogue

AT_MS = 1_764_547_200_000  # 2025-12-01


@pytest.mark.parametrize(
    ("provider", "name", "model_id"),
    [
        # Dates, in all their spellings.
        ("openai", "gpt-4o-2024-08-06", "openai/gpt-4o"),
        ("openai", "gpt-5.2-20251211", "openai/gpt-5.2"),
        ("openai", "gpt-4-0613", "openai/gpt-4"),
        ("openai", "gpt-4.1-nano-2025-04-14", "openai/gpt-4.1-nano"),
        ("openai", "o1-pro-2025-03-19", "openai/o1-pro"),
        ("openai", "o3-deep-research-2025-06-26", "openai/o3-deep-research"),
        ("openai", "gpt-4o-audio-preview-2024-12-17", "openai/gpt-4o-audio-preview"),
        ("openai", "computer-use-preview-2025-03-11", "openai/computer-use"),
        ("anthropic", "claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5"),
        ("anthropic", "claude-3-5-sonnet-latest", "anthropic/claude-3-5-sonnet"),
        ("anthropic", "claude-3-opus@20240229", "anthropic/claude-3-opus-latest"),
        ("google", "gemini-2.0-flash-001", "google/gemini-2.0-flash"),
        ("google", "gemini-2.5-pro-preview-05-06", "google/gemini-2.5-pro"),
        ("google", "gemini-2.5-pro-exp-03-25", "google/gemini-2.5-pro"),
        ("google", "claude-3-5-sonnet-v2@20241022", "google/claude-3-5-sonnet"),
        # Prefixes.
        ("google", "models/gemini-2.5-pro", "google/gemini-2.5-pro"),
        (
            "google",
            "projects/p/locations/l/publishers/google/models/gemini-2.5-pro",
            "google/gemini-2.5-pro",
        ),
        ("openai", "openai/gpt-4o-mini", "openai/gpt-4o-mini"),
        ("groq", "groq/llama-3.3-70b-versatile", "groq/llama-3.3-70b-versatile"),
        ("azure", "azure/gpt-4o", "openai/gpt-4o"),
        ("azure", "gpt-35-turbo", "openai/gpt-3.5-turbo"),
        # Bedrock.
        (
            "aws",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "aws/regional.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        (
            "aws",
            "global.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "aws/global.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        (
            "aws",
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/"
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "aws/regional.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        (
            "aws",
            "bedrock/us-east-1/anthropic.claude-3-haiku-20240307-v1:0",
            "aws/regional.anthropic.claude-3-haiku-20240307-v1:0",
        ),
        (
            "aws",
            "anthropic.claude-3-5-sonnet-20241022-v2:0",
            "aws/regional.anthropic.claude-3-5-sonnet-20241022-v2:0",
        ),
        ("aws", "eu.amazon.nova-lite-v1:0", "aws/amazon.nova-lite-v1:0"),
        ("aws", "amazon.nova-lite-v1:0:300k", "aws/amazon.nova-lite-v1:0"),
        (
            "aws",
            "claude-3-5-haiku-20241022",
            "aws/regional.anthropic.claude-3-5-haiku-20241022-v1:0",
        ),
        # Fine-tuned models have prices of their own.
        ("openai", "ft:gpt-4o-2024-08-06:acme::Ab12", "openai/ft:gpt-4o"),
        ("openai", "ft:gpt-4o-mini-2024-07-18:acme::Ab12", "openai/ft:gpt-4o-mini"),
        ("openai", "gpt-4o-mini-2024-07-18.ft-0a1b", "openai/gpt-4o-mini-2024-07-18.ft-"),
        # Case.
        ("OpenAI", "GPT-4o", "openai/gpt-4o"),
        # Without a provider, or one that has no list.
        (None, "gpt-4o-2024-08-06", "openai/gpt-4o"),
        (None, "claude-sonnet-4-5", "anthropic/claude-sonnet-4-5"),
        (None, "bedrock/amazon.nova-lite-v1:0", "aws/amazon.nova-lite-v1:0"),
        (None, "vertex_ai/gemini-2.5-pro", "google/gemini-2.5-pro"),
        ("litellm", "azure/gpt-4o", "openai/gpt-4o"),
        ("our-gateway", "gemini-2.5-pro", "google/gemini-2.5-pro"),
        (
            "huggingface",
            "deepseek-ai/DeepSeek-R1:novita",
            "huggingface_novita/deepseek-ai/DeepSeek-R1",
        ),
    ],
)
def test_a_dated_or_prefixed_name_is_its_model(
    catalogue: Catalogue, provider: str | None, name: str, model_id: str
) -> None:
    assert catalogue.model_id(provider, name) == model_id
    assert catalogue.rates(provider, name, None, AT_MS) is not None


@pytest.mark.parametrize(
    ("longer", "shorter"),
    [
        ("gpt-4.1-nano", "gpt-4"),
        ("gpt-4.1-nano", "gpt-4.1"),
        ("o1-pro", "o1"),
        ("o1-preview", "o1"),
        ("gpt-4-32k", "gpt-4"),
        ("gpt-4-32k-0613", "gpt-4"),
        ("gpt-4o-mini", "gpt-4o"),
        ("gpt-4o-audio-preview", "gpt-4o"),
        ("gpt-4o-mini-audio-preview-2024-12-17", "gpt-4o-mini"),
        ("o3-deep-research", "o3"),
        ("o3-mini-2025-01-31", "o3"),
        ("o4-mini-deep-research-2025-06-26", "o4-mini"),
        ("gpt-5-pro-2025-10-06", "gpt-5"),
        ("gpt-3.5-turbo-16k-0613", "gpt-3.5-turbo"),
        # Priced apart, though it is only a date that tells them apart.
        ("gpt-4o-2024-05-13", "gpt-4o"),
    ],
)
def test_a_longer_name_is_another_model(catalogue: Catalogue, longer: str, shorter: str) -> None:
    for provider in ("openai", "azure", None):
        assert catalogue.model_id(provider, longer) is not None
        assert catalogue.model_id(provider, longer) != catalogue.model_id(provider, shorter)


@pytest.mark.parametrize(
    ("provider", "name"),
    [
        ("openai", "gpt-4o-nonesuch"),
        ("openai", "gpt-5-nano-turbo"),
        ("openai", "o1-ultra"),
        ("openai", "gpt"),
        ("openai", "gpt-3.5"),
        ("openai", ""),
        ("openai", "unknown"),
        ("anthropic", "claude-sonnet-4-5-ultra"),
        ("anthropic", "claude-opus-4-99"),
        ("anthropic", "claude"),
        # genai-prices takes what begins with, or contains, a name that it has.
        ("google", "gemini-1.5-flash-8b"),
        ("google", "gemini-2.5-pro-mega"),
        ("google", "gemini-3.6-flash-mega"),
        ("deepseek", "deepseek-r1-distill-llama-70b"),
        ("moonshotai", "kimi-k2.55"),
        ("azure", "o4-mini-mega"),
        ("aws", "amazon.nova-lite-mega-v1:0"),
        ("aws", "amazon.titan-embed-text-v3:0"),
        ("openai", "ft:gpt-4o-mega-2024-08-06:acme::Ab12"),
        # Another one's models are not this provider's.
        ("openai", "moonshotai/kimi-k2"),
        ("anthropic", "gpt-4o"),
        ("openai", "text-bison-001"),
        # Hosts whose prices nobody lists.
        ("ollama", "gpt-4o"),
        ("lmsys", "vicuna"),
        ("vllm", "mistral-large"),
        (None, "ollama/gemma3"),
        ("huggingface", "deepseek-ai/DeepSeek-R1"),
        (None, "starchat"),
        # Units that an event does not count: characters, pages.
        ("openai", "tts-1"),
        ("mistral", "mistral-ocr-2503"),
        # Listed without a price.
        ("cerebras", "qwen-3-coder-480b"),
        ("github-copilot", "gpt-4o"),
    ],
)
def test_an_unknown_model_is_unpriced_and_never_free(
    catalogue: Catalogue, provider: str | None, name: str
) -> None:
    assert catalogue.rates(provider, name, None, AT_MS) is None


@pytest.mark.parametrize(
    ("spellings", "provider"),
    [
        (["aws", "aws_bedrock", "aws.bedrock", "bedrock", "amazon-bedrock", "AWS Bedrock"], "aws"),
        (["azure", "azure_openai", "azure.ai.openai", "az.ai.openai"], "azure"),
        (["google", "google_gemini", "google_vertex", "gcp.gemini", "gcp.vertex_ai"], "google"),
        (["gcp.gen_ai", "gemini", "vertex_ai", "google-genai", "google-gla"], "google"),
        (["x-ai", "xai", "x_ai", "X.AI"], "x-ai"),
        (["mistral", "mistral_ai", "mistralai"], "mistral"),
        (["moonshot", "moonshotai"], "moonshotai"),
        (["together", "together_ai"], "together"),
        (["zai", "z.ai"], "zai"),
        (["huggingface_fireworks-ai", "huggingface.fireworks_ai"], "huggingface_fireworks-ai"),
        (["groq"], "groq"),
        (["openai", "openai_responses"], "openai"),
        (["anthropic"], "anthropic"),
        (["deepseek"], "deepseek"),
        (["cohere"], "cohere"),
        (["perplexity"], "perplexity"),
        (["meta"], "meta"),
        (["lmsys", "huggingface", "nonesuch", ""], None),
    ],
)
def test_a_provider_has_many_spellings(
    catalogue: Catalogue, spellings: list[str], provider: str | None
) -> None:
    assert [catalogue.provider_id(spelling) for spelling in spellings] == [provider] * len(
        spellings
    )


def test_what_a_provider_gives_away_is_free_by_name(catalogue: Catalogue) -> None:
    for provider, model in [
        ("openai", "omni-moderation-latest"),
        ("google", "gemma-4-31b-it"),
        ("openrouter", "openai/gpt-oss-20b:free"),
    ]:
        rates = catalogue.rates(provider, model, None, AT_MS)
        assert rates is not None
        assert rates.version.endswith(" free")
        assert (rates.base.input, rates.base.output) == (0, 0)


def test_the_context_window_is_known_by_any_name(catalogue: Catalogue) -> None:
    assert catalogue.context_window("openai", "gpt-4o-2024-08-06") == 128_000
    assert catalogue.context_window("anthropic", "claude-sonnet-4-5-20250929") == 200_000
    assert catalogue.context_window("openai", "nonesuch") == 0
