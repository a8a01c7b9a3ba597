"""What scripts/prove-clients runs: the clients, and the provider that they do not know of."""

import json
import os
import subprocess
import sys
import threading
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anthropic
import openai
from google import genai
from google.genai import errors, types

KEY = "the-real-key"
PRICES = "[[model]]\nmodel='gemini-2.5-flash'\ninput=0.3\noutput=2.5\n"
# Every answer: 1,000 tokens in and 100 out.
COST = {
    "claude-haiku-4-5": Decimal("0.0015"),
    "gpt-4o": Decimal("0.0035"),
    "gemini-2.5-flash": Decimal("0.00055"),
}
seen = []


def sse(events, named=True):
    lines = []
    for event in events:
        if named:
            lines.append(f"event: {event['type']}\n")
        data = event if isinstance(event, str) else json.dumps(event, ensure_ascii=False)
        lines.append(f"data: {data}\n\n")
    return "".join(lines)


def messages(asked):
    usage = {"input_tokens": 1000, "output_tokens": 100}
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": asked["model"],
            "stop_sequence": None}
    tool = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Zürich"}}
    text = {"type": "text", "text": "grüezi 🦀"}
    if not asked.get("stream"):
        return json.dumps({**head, "content": [text, tool], "stop_reason": "tool_use", "usage": usage})
    return sse([
        {"type": "message_start", "message": {**head, "content": [], "stop_reason": None,
                                              "usage": {"input_tokens": 1000, "output_tokens": 1}}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0,
         "delta": {"type": "text_delta", "text": "grüezi 🦀"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {**tool, "input": {}}},
        {"type": "content_block_delta", "index": 1,
         "delta": {"type": "input_json_delta", "partial_json": "{\"city\": "}},
        {"type": "content_block_delta", "index": 1,
         "delta": {"type": "input_json_delta", "partial_json": "\"Zürich\"}"}},
        {"type": "content_block_stop", "index": 1},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use", "stop_sequence": None},
         "usage": {"output_tokens": 100}},
        {"type": "message_stop"},
    ])


def chat(asked):
    usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
    call = {"id": "call_1", "type": "function",
            "function": {"name": "weather", "arguments": "{\"city\": \"Zürich\"}"}}
    head = {"id": "c_1", "created": 1, "model": asked["model"]}
    if not asked.get("stream"):
        message = {"role": "assistant", "content": "grüezi 🦀", "tool_calls": [call]}
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls"}
        return json.dumps({**head, "object": "chat.completion", "choices": [choice], "usage": usage})

    def chunk(delta, finish=None):
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return {**head, "object": "chat.completion.chunk", "choices": [choice]}

    return sse([
        chunk({"role": "assistant", "content": "grüezi 🦀"}),
        chunk({"tool_calls": [{"index": 0, **call}]}),
        chunk({}, "tool_calls"),
        {**head, "object": "chat.completion.chunk", "choices": [], "usage": usage},
        "[DONE]",
    ], named=False)


def responses(asked):
    message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed",
               "content": [{"type": "output_text", "text": "grüezi 🦀", "annotations": []}]}
    call = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather",
            "arguments": "{\"city\": \"Zürich\"}", "status": "completed"}
    whole = {"id": "resp_1", "object": "response", "created_at": 1, "model": asked["model"],
             "status": "completed", "output": [message, call], "parallel_tool_calls": True,
             "tool_choice": "auto", "tools": [],
             "usage": {"input_tokens": 1000, "input_tokens_details": {"cached_tokens": 0},
                       "output_tokens": 100, "output_tokens_details": {"reasoning_tokens": 0},
                       "total_tokens": 1100}}
    if not asked.get("stream"):
        return json.dumps(whole)
    begun = {**whole, "status": "in_progress", "output": [], "usage": None}
    return sse([
        {"type": "response.created", "sequence_number": 0, "response": begun},
        {"type": "response.output_text.delta", "sequence_number": 1, "item_id": "msg_1",
         "output_index": 0, "content_index": 0, "delta": "grüezi 🦀", "logprobs": []},
        {"type": "response.function_call_arguments.done", "sequence_number": 2, "item_id": "fc_1",
         "output_index": 1, "name": "weather", "arguments": call["arguments"]},
        {"type": "response.completed", "sequence_number": 3, "response": whole},
    ])


def gemini(stream):
    parts = [{"text": "grüezi 🦀"}, {"functionCall": {"name": "weather", "args": {"city": "Zürich"}}}]

    def piece(parts, finish, count):
        candidate = {"content": {"role": "model", "parts": parts}, "index": 0}
        if finish:
            candidate["finishReason"] = finish
        return {"candidates": [candidate], "modelVersion": "gemini-2.5-flash", "usageMetadata": {
            "promptTokenCount": 1000, "candidatesTokenCount": count,
            "totalTokenCount": 1000 + count}}

    if not stream:
        return json.dumps(piece(parts, "STOP", 100))
    return sse([piece(parts[:1], None, 40), piece(parts[1:], "STOP", 100)], named=False)


class Provider(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self):
        path = self.path.split("?")[0]
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        seen.append((self.path, dict(self.headers), body))
        asked = json.loads(body) if body else {}
        if path == "/v1/messages":
            text = messages(asked)
        elif path == "/v1/messages/count_tokens":
            text = json.dumps({"input_tokens": 1000})
        elif path == "/v1/chat/completions":
            text = chat(asked)
        elif path == "/v1/responses":
            text = responses(asked)
        elif path == "/v1/models":
            text = json.dumps({"object": "list", "data": [
                {"id": "gpt-4o", "object": "model", "created": 1, "owned_by": "x"}]})
        else:
            text = gemini("stream" in path)
        kind = "application/json" if text.startswith("{") else "text/event-stream"
        body = text.encode()
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for at in range(0, len(body), 61):
            part = body[at:at + 61]
            self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    do_POST = do_GET = answer

    def log_message(self, *_):
        pass


def front(program, place, budget):
    environment = {**os.environ, "FRONT_KEY": KEY, "FRONT_BUDGET": budget, "FRONT_PRICES": PRICES}
    process = subprocess.Popen(
        [program, f"anthropic={place}", f"openai={place}", f"gemini={place}"],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, json.loads(process.stdout.readline())


def clients(at):
    url, token = at["url"], at["token"]
    return (
        anthropic.Anthropic(base_url=f"{url}/anthropic", api_key=token),
        openai.OpenAI(base_url=f"{url}/openai/v1", api_key=token),
        genai.Client(api_key=token, http_options=types.HttpOptions(base_url=f"{url}/gemini")),
    )


def use(one, two, three):
    """Every client once in every way; how many calls of which model it made."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}}}
    hello = [{"role": "user", "content": "hello"}]
    ask = {"model": "claude-haiku-4-5", "max_tokens": 200, "messages": hello,
           "tools": [{"name": "weather", "input_schema": schema}]}
    whole = one.messages.create(**ask)
    assert (whole.content[0].text, whole.content[1].input) == ("grüezi 🦀", {"city": "Zürich"})
    with one.messages.stream(**ask) as stream:
        assert "".join(stream.text_stream) == "grüezi 🦀"
        last = stream.get_final_message()
    assert (last.content[1].input, last.usage.output_tokens) == ({"city": "Zürich"}, 100)
    assert one.messages.count_tokens(model=ask["model"], messages=hello).input_tokens == 1000

    ask = {"model": "gpt-4o", "messages": hello, "max_completion_tokens": 200, "tools": [
        {"type": "function", "function": {"name": "weather", "parameters": schema}}]}
    whole = two.chat.completions.create(**ask)
    call = whole.choices[0].message.tool_calls[0]
    assert json.loads(call.function.arguments) == {"city": "Zürich"}
    chunks = list(two.chat.completions.create(
        **ask, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.content == "grüezi 🦀"
    assert chunks[-1].usage.completion_tokens == 100
    ask = {"model": "gpt-4o", "input": "hello", "max_output_tokens": 200}
    assert two.responses.create(**ask).output_text == "grüezi 🦀"
    events = list(two.responses.create(**ask, stream=True))
    assert events[-1].response.output[1].name == "weather"
    assert [model.id for model in two.models.list()] == ["gpt-4o"]

    config = types.GenerateContentConfig(max_output_tokens=200)
    ask = {"model": "gemini-2.5-flash", "contents": "hello", "config": config}
    whole = three.models.generate_content(**ask)
    assert whole.function_calls[0].args == {"city": "Zürich"}
    pieces = list(three.models.generate_content_stream(**ask))
    assert pieces[0].text == "grüezi 🦀" and pieces[1].function_calls[0].name == "weather"
    return {"claude-haiku-4-5": 2, "gpt-4o": 4, "gemini-2.5-flash": 2}


def over_budget(program, place):
    """What each client makes of a budget that is used up, and how often it tried."""
    hello = [{"role": "user", "content": "hello"}]
    tries = [
        ("anthropic", anthropic.APIStatusError, lambda one, two, three: one.messages.create(
            model="claude-haiku-4-5", max_tokens=200, messages=hello)),
        ("openai, chat", openai.BadRequestError, lambda one, two, three: two.chat.completions.create(
            model="gpt-4o", messages=hello)),
        ("openai, responses", openai.BadRequestError, lambda one, two, three: two.responses.create(
            model="gpt-4o", input="hello", stream=True)),
        ("google-genai", errors.ClientError, lambda one, two, three: three.models.generate_content(
            model="gemini-2.5-flash", contents="hello")),
    ]
    for name, expected, call in tries:
        process, at = front(program, place, "0.0001")
        try:
            call(*clients(at))
            raise SystemExit(f"{name}: the budget did not hold")
        except expected as error:
            assert "budget is used up" in str(error) and "ORC-0545" in str(error), error
            status = getattr(error, "status_code", None) or error.code
            said = f"{type(error).__name__} {status}"
        last = finish(process)
        assert (last["refused"], last["usd"], last["held"]) == (1, "0", "0"), (name, last)
        print(f"{name}: stopped after 1 request with {said}")


def finish(process):
    """Stops a front; what it then says."""
    process.stdin.close()
    last = json.loads(process.stdout.readline())
    assert process.wait() == 0
    return last


def main():
    provider = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    place = f"http://127.0.0.1:{provider.server_port}"

    process, at = front(sys.argv[1], place, "10")
    calls = use(*clients(at))
    for path, headers, _ in seen:
        text = f"{path} {headers}"
        assert KEY in text and at["token"] not in text, text
    spent = finish(process)
    expected = sum(COST[model] * count for model, count in calls.items())
    assert (Decimal(spent["usd"]), spent["requests"]) == (expected, 8), (spent, expected)
    assert (spent["tokens"], spent["held"]) == (8 * 1100, "0"), spent
    print(f"whole, streamed and tool calls of three clients: 8 calls, ${spent['usd']} to the micro-dollar")

    before = len(seen)
    over_budget(sys.argv[1], place)
    assert len(seen) == before, "a call passed"
    provider.shutdown()
    print("all clients work through the front and stop at its budget")


main()
