"""A provider that answers every call of the four APIs with the same text and tool call."""

import json
from http.server import BaseHTTPRequestHandler

# What it was asked: path, headers and body of each request.
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
