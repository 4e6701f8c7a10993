"""The unmodified official clients, with strict response validation, against a running gateway.

Every test carries `@pytest.mark.shows(client, feature, ...)`: what it shows is a cell of the README's table (see ../matrix.py).
"""

import json
import os
import urllib.request
from typing import Any, Iterator

import anthropic
import boto3
import botocore.config
import openai
import pytest

from tls import terminated


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "shows(client, *features): the client that is used and what of it is seen to work")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    unmarked = [item.nodeid for item in items if item.get_closest_marker("shows") is None]
    if unmarked:
        raise pytest.UsageError(f"these tests do not say which client and feature they show: {unmarked}")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    report = (yield).get_result()
    shown = os.environ.get("OUTCROP_SHOWN")
    if shown and (report.when == "call" or report.failed):
        with open(shown, "a", encoding="utf-8") as file:
            for mark in item.iter_markers("shows"):
                client, *features = mark.args
                for feature in features:
                    line = {"client": client, "feature": feature, "passed": report.passed, "test": item.nodeid}
                    file.write(json.dumps(line) + "\n")


@pytest.fixture(scope="session")
def base_url() -> str:
    return os.environ["OUTCROP_URL"]


@pytest.fixture(scope="session")
def root_url(base_url: str) -> str:
    """Where Bedrock's own paths begin."""
    return base_url.removesuffix("/v1")


@pytest.fixture(scope="session")
def api_key() -> str:
    return os.environ["OUTCROP_KEY"]


@pytest.fixture(scope="session")
def client(base_url: str, api_key: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=base_url, api_key=api_key, max_retries=0, timeout=60, _strict_response_validation=True)


@pytest.fixture(scope="session")
def lenient(base_url: str, api_key: str) -> openai.OpenAI:
    """The client as it is by default, for answers that OpenAI itself gives otherwise than the client's types say."""
    return openai.OpenAI(base_url=base_url, api_key=api_key, max_retries=0, timeout=60)


@pytest.fixture()
def aclient(base_url: str, api_key: str) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=base_url, api_key=api_key, max_retries=0, timeout=60, _strict_response_validation=True)


@pytest.fixture(scope="session")
def claude(root_url: str, api_key: str) -> anthropic.Anthropic:
    """Anthropic's client: its paths begin with /v1, below our prefix."""
    return anthropic.Anthropic(base_url=f"{root_url}/anthropic", api_key=api_key, max_retries=0, timeout=60, _strict_response_validation=True)


def aws(service: str, url: str, **more: Any):
    """A client of AWS's own SDK that asks the gateway, once."""
    once = botocore.config.Config(retries={"total_max_attempts": 1}, read_timeout=60)
    return boto3.Session().client(service, region_name="us-east-1", endpoint_url=url, config=once, **more)


@pytest.fixture(scope="session")
def own_account() -> Iterator[pytest.MonkeyPatch]:
    """Nothing of this machine's own account is read."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}.items():
            patch.setenv(name, value)
        patch.delenv("AWS_BEARER_TOKEN_BEDROCK", raising=False)
        yield patch


@pytest.fixture(scope="session")
def secure(root_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """The gateway behind TLS: URL and authority."""
    with terminated(root_url, tmp_path_factory.mktemp("tls")) as (url, authority):
        yield {"url": url, "verify": str(authority)}


@pytest.fixture(scope="session", params=["bearer", "signed"])
def account(request: pytest.FixtureRequest, own_account: pytest.MonkeyPatch, root_url: str, secure: dict[str, Any], api_key: str) -> Iterator[dict[str, Any]]:
    """The gateway's key as a Bedrock API key from the environment, and as the access key of a signed request."""
    if request.param == "signed":
        yield {"url": root_url, "aws_access_key_id": api_key, "aws_secret_access_key": api_key}
        return
    own_account.setenv("AWS_BEARER_TOKEN_BEDROCK", api_key)
    yield secure
    own_account.delenv("AWS_BEARER_TOKEN_BEDROCK")


@pytest.fixture(scope="session")
def runtime(account: dict[str, Any]):
    return aws("bedrock-runtime", **account)


@pytest.fixture(scope="session")
def bedrock(account: dict[str, Any]):
    return aws("bedrock", **account)


class Weather:
    """Faults of the simulated AWS, installed over its control port."""

    def __init__(self, url: str):
        self.url = url

    def _send(self, method: str, body: object = None) -> None:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url, data=data, method=method, headers={"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=10) as response:
            assert response.status < 300

    def add(self, **fault: object) -> None:
        self._send("POST", fault)

    def clear(self) -> None:
        self._send("DELETE")


@pytest.fixture()
def weather() -> Iterator[Weather]:
    faults = Weather(os.environ["OUTCROP_FAULTS"])
    yield faults
    faults.clear()


MODELS = ["claude-sonnet-4-6", "claude-sonnet-4-5", "claude-opus-5-5", "amazon.nova-lite-v1:0", "openai.gpt-oss-120b-1:0"]


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> str:
    return request.param
