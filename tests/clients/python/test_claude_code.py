"""Claude Code, unmodified and headless, does a session against the gateway: it reads, edits and writes files of a repository.

The simulated model calls the tools that the prompt orders (`call exactly: ...`); everything else is the client's own doing: its
system prompt, its tools and their schemas, its flags, thinking, caching, and what it sends beside them. It is given an empty home, an
environment with nothing in it, and a proxy that writes down who else it would speak to.
"""

import http.server
import json
import os
import re
import socketserver
import subprocess
import threading
import urllib.error
import urllib.request
from pathlib import Path
from typing import Iterator

import pytest

CLAUDE_CODE = os.environ.get("OUTCROP_CLAUDE_CODE", "")


class Proxy(socketserver.ThreadingTCPServer):
    """Refuses every connection to another host, and remembers what was asked for."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Refusal)


class Refusal(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        self.server.asked.append(self.rfile.readline().decode(errors="replace").strip())
        self.wfile.write(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")


@pytest.fixture()
def elsewhere() -> Iterator[Proxy]:
    with Proxy() as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        yield proxy
        proxy.shutdown()


class Relay(http.server.ThreadingHTTPServer):
    """Passes whole answers of the gateway on, and remembers the path, status and body of each."""

    daemon_threads = True

    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.answered: list[tuple[str, int, bytes]] = []
        super().__init__(("127.0.0.1", 0), Passing)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Passing(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection", "accept-encoding")}
        request = urllib.request.Request(self.server.upstream + self.path, data=body, headers=headers)
        try:
            answer = urllib.request.urlopen(request, timeout=60)
        except urllib.error.HTTPError as refusal:
            answer = refusal
        with answer:
            told = answer.read()
        self.server.answered.append((self.path, answer.status, told))
        self.send_response(answer.status)
        self.send_header("content-type", answer.headers["content-type"])
        self.send_header("content-length", str(len(told)))
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture()
def relay(root_url: str) -> Iterator[Relay]:
    with Relay(root_url) as relay:
        threading.Thread(target=relay.serve_forever, daemon=True).start()
        yield relay
        relay.shutdown()


@pytest.fixture()
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    (folder / "greeting.py").write_text('def greet():\n    return "hello"\n')
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "begin"]):
        subprocess.run([*git, *arguments], cwd=folder, check=True)
    return folder


def run(prompt: str, repository: Path, elsewhere: Proxy, settings: dict[str, str], *more: str) -> dict:
    home = repository.parent / "home"
    home.mkdir(exist_ok=True)
    proxy = f"http://127.0.0.1:{elsewhere.server_address[1]}"
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "HTTP_PROXY": proxy,
        "HTTPS_PROXY": proxy,
        "NO_PROXY": "127.0.0.1",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        **settings,
    }
    command = [CLAUDE_CODE, "-p", prompt, "--allowedTools", "Read,Edit,Write,Bash", "--output-format", "json", *more]
    done = subprocess.run(command, cwd=repository, env=environment, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(done.stdout)
    assert result["is_error"] is False, result
    assert elsewhere.asked == [], "nobody but the gateway is spoken to"
    return result


def order(name: str, **arguments: object) -> str:
    return f"call exactly: {name} {json.dumps(arguments)}"


def edit_session(repository: Path) -> str:
    greeting = str(repository / "greeting.py")
    steps = [
        order("Read", file_path=greeting),
        order("Edit", file_path=greeting, old_string='"hello"', new_string='"good morning"'),
        order("Write", file_path=str(repository / "notes.md"), content="# Notes\n\nIt greets.\n"),
        order("Bash", command="python3 -c 'import greeting; print(greeting.greet())'", description="Runs the greeting"),
    ]
    return "\n".join(["Please change the greeting.", *steps])


def check_edits(repository: Path, result: dict) -> None:
    assert (repository / "greeting.py").read_text() == 'def greet():\n    return "good morning"\n'
    assert (repository / "notes.md").read_text() == "# Notes\n\nIt greets.\n"
    assert "good morning" in result["result"], "the model answers from what the command printed"
    assert result["num_turns"] >= 5 and result["permission_denials"] == []
    usage = result["usage"]
    assert usage["output_tokens"] > 0
    assert usage["input_tokens"] + usage["cache_creation_input_tokens"] + usage["cache_read_input_tokens"] > 10_000, usage


def direct(root_url: str, api_key: str, model: str) -> dict[str, str]:
    return {"ANTHROPIC_BASE_URL": f"{root_url}/anthropic", "ANTHROPIC_API_KEY": api_key, "ANTHROPIC_MODEL": model}


@pytest.mark.shows("Claude Code: messages", "text", "stream", "tools", "thinking")
@pytest.mark.parametrize("model", ["claude-sonnet-4-6", "claude-opus-5-5", "amazon.nova-2-lite-v1:0"])
def test_it_edits_a_repository(model, repository, elsewhere, root_url, api_key):
    result = run(edit_session(repository), repository, elsewhere, direct(root_url, api_key, model))
    check_edits(repository, result)


@pytest.mark.shows("Claude Code: messages", "caching")
def test_its_prompt_is_read_from_the_cache(repository, elsewhere, root_url, api_key):
    result = run(edit_session(repository), repository, elsewhere, direct(root_url, api_key, "claude-sonnet-4-6"))
    assert result["usage"]["cache_read_input_tokens"] > 10_000, result["usage"]


@pytest.mark.shows("Claude Code: messages", "30 turns")
@pytest.mark.parametrize("model", ["claude-sonnet-4-6", "amazon.nova-2-lite-v1:0"])
def test_a_session_of_thirty_turns(model, repository, elsewhere, root_url, api_key):
    diary = repository / "diary.md"
    steps = [order("Write", file_path=str(diary), content="day 0\n")]
    steps += [order("Edit", file_path=str(diary), old_string=f"day {day}", new_string=f"day {day + 1}") for day in range(29)]
    result = run("\n".join(["Keep the diary.", *steps]), repository, elsewhere, direct(root_url, api_key, model))
    assert diary.read_text() == "day 29\n" and result["num_turns"] >= 30


@pytest.mark.shows("Claude Code: messages", "compaction")
def test_a_session_that_is_compacted_goes_on(repository, elsewhere, root_url, api_key):
    settings = direct(root_url, api_key, "claude-sonnet-4-6")
    first = run(edit_session(repository), repository, elsewhere, settings)
    run("/compact", repository, elsewhere, settings, "--resume", first["session_id"])
    note = order("Write", file_path=str(repository / "after.md"), content="after\n")
    run(f"Go on.\n{note}", repository, elsewhere, settings, "--continue")
    assert (repository / "after.md").read_text() == "after\n"


@pytest.mark.shows("Claude Code: messages", "counting")
def test_its_account_of_the_context_is_counted_by_the_gateway(repository, elsewhere, relay, api_key):
    (repository / "CLAUDE.md").write_text("# Notes\n" + "Greet politely. " * 50)
    result = run("/context", repository, elsewhere, direct(relay.url, api_key, "claude-sonnet-4-6"))
    assert {(path.partition("?")[0], status) for path, status, _ in relay.answered} == {("/anthropic/v1/messages/count_tokens", 200)}
    counts = {json.loads(body)["input_tokens"] for _, _, body in relay.answered}
    (notes,) = re.findall(r"\| Memory files \| (\d+) \|", result["result"])
    assert int(notes) in counts, (notes, counts)


@pytest.mark.shows("Claude Code: native Bedrock", "text", "stream", "tools", "thinking")
def test_it_edits_a_repository_in_its_bedrock_mode(repository, elsewhere, root_url, api_key):
    settings = {
        "CLAUDE_CODE_USE_BEDROCK": "1",
        "ANTHROPIC_BEDROCK_BASE_URL": root_url,
        "AWS_BEARER_TOKEN_BEDROCK": api_key,
        "AWS_REGION": "us-east-1",
        "ANTHROPIC_MODEL": "us.anthropic.claude-sonnet-4-6",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    result = run(edit_session(repository), repository, elsewhere, settings)
    check_edits(repository, result)
