"""Speaks as Claude Code does, and does what its prompt says in [[double brackets]], in order.

    [[ask]]          asks the model at $ANTHROPIC_BASE_URL and says its answer
    [[say TEXT]]     says it
    [[run COMMAND]]  uses the tool Bash, which has to be allowed
    [[use N]]        uses as much as N answers, without a call that anybody sees
    [[env]]          says its environment
    [[garbage]]      prints what is no JSON
    [[huge]]         prints a line of six million bytes
    [[novel]]        prints an event that nobody knows
    [[orphan]]       starts a process with a session of its own, which writes its number to `orphan`
    [[stdin]]        reads its standard input to the end
    [[silent]]       ends with exit code 0 and without a result
    [[hang]]         does nothing for ever, and ignores that it is asked to end
    [[hear]]         waits for a message, and says it; it can be interrupted meanwhile
    [[wait FILE]]    waits until the file is there

What it did is in its session, which it goes on with and does not do again.
"""
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid

MODEL = "claude-sonnet-4-5"


def argument(name):
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else None


def say(**event):
    print(json.dumps(event), flush=True)


def hear():
    line = sys.stdin.readline()
    return json.loads(line) if line else None


class Session:
    def __init__(self):
        self.resumed = argument("--resume")
        self.id = self.resumed or argument("--session-id") or str(uuid.uuid4())
        place = os.path.join(os.environ["HOME"], ".claude", "projects")
        os.makedirs(place, exist_ok=True)
        self.file = os.path.join(place, self.id + ".json")
        self.done, self.input, self.output = [], 0, 0
        if self.resumed:
            if not os.path.exists(self.file):
                print("No conversation found with session ID: " + self.id, file=sys.stderr)
                sys.exit(1)
            with open(self.file) as file:
                self.done, self.input, self.output = json.load(file)

    def keep(self, step):
        self.done.append(step)
        with open(self.file + ".new", "w") as file:
            json.dump([self.done, self.input, self.output], file)
        os.rename(self.file + ".new", self.file)


def result(session, **parts):
    cost = (session.input * 3 + session.output * 15) / 1e6
    used = {"inputTokens": session.input, "outputTokens": session.output, "costUSD": cost,
            "cacheReadInputTokens": 0, "cacheCreationInputTokens": 0}
    base = {"type": "result", "subtype": "success", "is_error": False, "session_id": session.id,
            "terminal_reason": "completed", "permission_denials": [], "result": "",
            "total_cost_usd": cost, "modelUsage": {MODEL: used} if session.input else {}}
    say(**{**base, **parts})


def message(*blocks):
    say(type="assistant", parent_tool_use_id=None,
        message={"role": "assistant", "model": MODEL, "content": list(blocks)})


def text(words):
    message({"type": "text", "text": words})


def ask(session):
    """The answer of the model; ends when there is none."""
    url = os.environ["ANTHROPIC_BASE_URL"] + "/v1/messages?beta=true"
    token = os.environ["ANTHROPIC_AUTH_TOKEN"]
    body = {"model": MODEL, "max_tokens": 100, "stream": True,
            "messages": [{"role": "user", "content": "step %d" % (len(session.done) + 1)}]}
    headers = {"authorization": "Bearer " + token, "anthropic-version": "2023-06-01",
               "content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for attempt in (1, 2):
        try:
            with opener.open(request) as answer:
                lines = answer.read().decode().splitlines()
            break
        except urllib.error.HTTPError as error:
            said = json.loads(error.read().decode() or "{}").get("error", {})
            wait = float(error.headers.get("retry-after") or 0.1)
            name = {401: "authentication_failed", 402: "billing_error", 429: "rate_limit"}
            if attempt == 1 and error.code in (401, 429):
                say(type="system", subtype="api_retry", attempt=attempt, max_retries=1,
                    retry_delay_ms=wait * 1000, error_status=error.code, error=name[error.code],
                    session_id=session.id)
                if error.code == 429 and wait < 5:
                    time.sleep(wait)
                continue
            result(session, is_error=True, api_error_status=error.code, terminal_reason="api_error",
                   api_error_type=said.get("type"), result="API Error: " + said.get("message", ""))
            sys.exit(1)
    words = ""
    for line in lines:
        if not line.startswith("data:"):
            continue
        event = json.loads(line[5:])
        if event["type"] == "message_start":
            session.input += event["message"]["usage"]["input_tokens"]
        elif event["type"] == "message_delta":
            session.output += event["usage"]["output_tokens"]
        elif event.get("delta", {}).get("type") == "text_delta":
            words += event["delta"]["text"]
    return words


def run(command, live, number):
    call = "toolu_%d" % number
    tool = {"command": command}
    message({"type": "tool_use", "id": call, "name": "Bash", "input": tool})
    settings = json.loads(argument("--settings") or "{}").get("permissions", {})
    allowed, why = "Bash" in settings.get("allow", []), "it needs approval"
    if live and not allowed:
        asked = "ask-%d" % number
        say(type="control_request", request_id=asked,
            request={"subtype": "can_use_tool", "tool_name": "Bash", "input": tool,
                     "tool_use_id": call})
        while True:
            heard = hear()
            if heard and heard.get("response", {}).get("request_id") == asked:
                break
        answer = heard["response"]["response"]
        allowed, why = answer["behavior"] == "allow", answer.get("message")
    if allowed:
        ran = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
        output, failed = ran.stdout + ran.stderr, ran.returncode != 0
    else:
        output, failed = why, True
        say(type="system", subtype="permission_denied", tool_name="Bash", tool_use_id=call)
    say(type="user", message={"role": "user", "content": [
        {"type": "tool_result", "tool_use_id": call, "content": output, "is_error": failed}]})
    return output


def message_of(session):
    """What it is told next. When it is interrupted it ends what it does, and waits on."""
    while True:
        heard = hear()
        if heard["type"] == "user":
            say(**{**heard, "isReplay": True})
            return heard["message"]["content"]
        if heard.get("request", {}).get("subtype") == "interrupt":
            say(type="control_response", response={"subtype": "success", "response": {},
                                                   "request_id": heard["request_id"]})
            result(session, subtype="error_during_execution", is_error=True,
                   terminal_reason="aborted_streaming")


def main():
    session = Session()
    live = argument("--input-format") == "stream-json"
    if live:
        hello = hear()
        say(type="control_response", response={"subtype": "success", "response": {},
                                               "request_id": hello["request_id"]})
        heard = hear()
        say(**{**heard, "isReplay": True})
        prompt = heard["message"]["content"]
    else:
        prompt = sys.stdin.read()
    say(type="system", subtype="init", session_id=session.id, model=MODEL,
        claude_code_version=argument("--be-version") or "2.1.329", cwd=os.getcwd())
    last = ""
    steps = re.findall(r"\[\[(.*?)\]\]", prompt)
    for number, step in enumerate(steps, 1):
        if number <= len(session.done):
            continue
        word, _, rest = step.partition(" ")
        if word == "ask":
            last = ask(session)
            text(last)
        elif word == "say":
            last = rest
            text(rest)
        elif word == "run":
            last = run(rest, live, number)
        elif word == "use":
            session.input += 1_000 * int(rest)
            session.output += 100 * int(rest)
        elif word == "env":
            text("\n".join("%s=%s" % item for item in sorted(os.environ.items())))
        elif word == "garbage":
            print("this is no JSON {", flush=True)
        elif word == "huge":
            say(type="system", subtype="status", filler="x" * 6_000_000)
        elif word == "novel":
            say(type="system", subtype="moon_phase")
        elif word == "orphan":
            subprocess.Popen(["sh", "-c", "trap '' TERM; echo $$ > orphan.new; mv orphan.new orphan; "
                              "exec sleep 600"], start_new_session=True)
            while not os.path.exists("orphan"):
                time.sleep(0.01)
        elif word == "stdin":
            sys.stdin.read()
        elif word == "silent":
            sys.exit(0)
        elif word == "hang":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            time.sleep(600)
        elif word == "hear":
            last = message_of(session)
            text("heard " + last)
        elif word == "wait":
            while not os.path.exists(rest):
                time.sleep(0.01)
        session.keep(step)
    result(session, result=last or "nothing was asked")
    if live:
        # It goes when there is nothing more to hear.
        sys.stdin.read()


main()
