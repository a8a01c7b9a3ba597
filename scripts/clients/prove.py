"""What scripts/prove-clients runs: the front, the provider behind it, and the clients before it.

Usage: prove.py FRONT PROGRAM...     (each program is one of the `from_` files beside this one)
"""

import json
import os
import subprocess
import sys
import threading
from decimal import Decimal
from http.server import ThreadingHTTPServer
from pathlib import Path

from provider import Provider, seen

KEY = "the-real-key"
PRICES = "[[model]]\nmodel='gemini-2.5-flash'\ninput=0.3\noutput=2.5\n"
# Every answer: 1,000 tokens in and 100 out.
COST = {
    "claude-haiku-4-5": Decimal("0.0015"),
    "gpt-4o": Decimal("0.0035"),
    "gemini-2.5-flash": Decimal("0.00055"),
}
CLIENTS = {
    "anthropic": "claude-haiku-4-5",
    "openai-chat": "gpt-4o",
    "openai-responses": "gpt-4o",
    "gemini": "gemini-2.5-flash",
}
CENT = Decimal("0.01")
RUNNERS = {".py": sys.executable, ".mjs": "node"}


def front(program, place, budget):
    environment = {**os.environ, "FRONT_KEY": KEY, "FRONT_BUDGET": str(budget), "FRONT_PRICES": PRICES}
    process = subprocess.Popen(
        [program, f"anthropic={place}", f"openai={place}", f"gemini={place}"],
        env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    return process, json.loads(process.stdout.readline())


def finish(process):
    """Stops a front; what it then says."""
    process.stdin.close()
    last = json.loads(process.stdout.readline())
    assert process.wait() == 0
    return last


def run(clients, what, at):
    command = [RUNNERS[Path(clients).suffix], clients, what, at["url"], at["token"]]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)


def all_ways(program, clients, place):
    process, at = front(program, place, 10)
    seen.clear()
    used = run(clients, "use", at)
    for path, headers, _ in seen:
        text = f"{path} {headers}"
        assert KEY in text and at["token"] not in text, text
    spent = finish(process)
    expected = sum(COST[model] * count for model, count in used["calls"].items())
    assert (Decimal(spent["usd"]), spent["requests"]) == (expected, 8), (spent, expected)
    assert (spent["tokens"], spent["held"]) == (8 * 1100, "0"), spent
    print(f"{Path(clients).name}: {', '.join(used['versions'])}; whole, streamed and tool "
          f"calls: 8 calls, ${spent['usd']} to the micro-dollar")


def a_cent(program, clients, place):
    """Every client has a cent; what it gets for it, and what it makes of the end."""
    for name, model in CLIENTS.items():
        process, at = front(program, place, CENT)
        seen.clear()
        end = run(clients, name, at)
        last = finish(process)
        assert "budget is used up" in end["text"] and "ORC-0545" in end["text"], end
        spent = end["passed"] * COST[model]
        assert 0 < spent <= CENT < spent + 2 * COST[model], (end, spent)
        assert len(seen) == end["passed"], "a call passed that was not answered"
        assert Decimal(last["usd"]) == spent, (last, spent)
        assert (last["refused"], last["held"]) == (1, "0"), last
        print(f"  {name}: {end['passed']} calls for ${spent}, then {end['said']} after 1 request")


def main():
    program, *languages = sys.argv[1:]
    provider = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    threading.Thread(target=provider.serve_forever, daemon=True).start()
    place = f"http://127.0.0.1:{provider.server_port}"
    for clients in languages:
        all_ways(program, clients, place)
        a_cent(program, clients, place)
    provider.shutdown()
    print("all clients work through the front, and a budget of a cent stops each")


main()
