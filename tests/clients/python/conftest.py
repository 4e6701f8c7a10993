"""The unmodified official clients, with strict response validation, against a running gateway."""

import os

import anthropic
import openai
import pytest


@pytest.fixture(scope="session")
def base_url() -> str:
    return os.environ["OUTCROP_URL"]


@pytest.fixture(scope="session")
def api_key() -> str:
    return os.environ["OUTCROP_KEY"]


@pytest.fixture(scope="session")
def client(base_url: str, api_key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=base_url, api_key=api_key, max_retries=0, timeout=60, _strict_response_validation=True)


@pytest.fixture()
def aclient(base_url: str, api_key: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=base_url, api_key=api_key, max_retries=0, timeout=60, _strict_response_validation=True)


@pytest.fixture(scope="session")
def claude(base_url: str, api_key: str) -> anthropic.Anthropic:
    """Anthropic's client: its paths begin with /v1, below our prefix."""
    url = base_url.removesuffix("/v1") + "/anthropic"
    return anthropic.Anthropic(base_url=url, api_key=api_key, max_retries=0, timeout=60, _strict_response_validation=True)


MODELS = ["claude-sonnet-4-6", "claude-sonnet-4-5", "claude-opus-5-5", "amazon.nova-lite-v1:0", "openai.gpt-oss-120b-1:0"]


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> str:
    return request.param
