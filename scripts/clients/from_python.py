"""The official Python clients: `from_python.py use|CLIENT URL TOKEN`.

`use` makes every client call once in every way and prints how many calls of which model it made;
the name of a client makes it call until it is refused, and prints what it made of that.
"""

import json
import sys

import anthropic
import openai
from google import genai
from google.genai import errors, types

# Longer than the tokens that the provider counts: a server that counts more than there are bytes could
# take a call beyond what was held for it.
WORDS = "hello " * 200
HELLO = [{"role": "user", "content": WORDS}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}}
VERSIONS = [
    f"anthropic {anthropic.__version__}",
    f"openai {openai.__version__}",
    f"google-genai {genai.__version__}",
]


def clients(url, token):
    return (
        anthropic.Anthropic(base_url=f"{url}/anthropic", api_key=token),
        openai.OpenAI(base_url=f"{url}/openai/v1", api_key=token),
        genai.Client(api_key=token, http_options=types.HttpOptions(base_url=f"{url}/gemini")),
    )


def use(one, two, three):
    ask = {"model": "claude-haiku-4-5", "max_tokens": 200, "messages": HELLO,
           "tools": [{"name": "weather", "input_schema": SCHEMA}]}
    whole = one.messages.create(**ask)
    assert (whole.content[0].text, whole.content[1].input) == ("grüezi 🦀", {"city": "Zürich"})
    with one.messages.stream(**ask) as stream:
        assert "".join(stream.text_stream) == "grüezi 🦀"
        last = stream.get_final_message()
    assert (last.content[1].input, last.usage.output_tokens) == ({"city": "Zürich"}, 100)
    assert one.messages.count_tokens(model=ask["model"], messages=HELLO).input_tokens == 1000

    ask = {"model": "gpt-4o", "messages": HELLO, "max_completion_tokens": 200, "tools": [
        {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}]}
    whole = two.chat.completions.create(**ask)
    call = whole.choices[0].message.tool_calls[0]
    assert json.loads(call.function.arguments) == {"city": "Zürich"}
    chunks = list(two.chat.completions.create(
        **ask, stream=True, stream_options={"include_usage": True}))
    assert chunks[0].choices[0].delta.content == "grüezi 🦀"
    assert chunks[-1].usage.completion_tokens == 100
    ask = {"model": "gpt-4o", "input": WORDS, "max_output_tokens": 200}
    assert two.responses.create(**ask).output_text == "grüezi 🦀"
    events = list(two.responses.create(**ask, stream=True))
    assert events[-1].response.output[1].name == "weather"
    assert [model.id for model in two.models.list()] == ["gpt-4o"]

    config = types.GenerateContentConfig(max_output_tokens=200)
    ask = {"model": "gemini-2.5-flash", "contents": WORDS, "config": config}
    whole = three.models.generate_content(**ask)
    assert whole.function_calls[0].args == {"city": "Zürich"}
    pieces = list(three.models.generate_content_stream(**ask))
    assert pieces[0].text == "grüezi 🦀" and pieces[1].function_calls[0].name == "weather"
    return {"claude-haiku-4-5": 2, "gpt-4o": 4, "gemini-2.5-flash": 2}


def until_refused(name, one, two, three):
    call, expected = {
        "anthropic": (lambda: one.messages.create(
            model="claude-haiku-4-5", max_tokens=200, messages=HELLO), anthropic.APIStatusError),
        "openai-chat": (lambda: two.chat.completions.create(
            model="gpt-4o", max_completion_tokens=200, messages=HELLO), openai.BadRequestError),
        "openai-responses": (lambda: two.responses.create(
            model="gpt-4o", max_output_tokens=200, input=WORDS), openai.BadRequestError),
        "gemini": (lambda: three.models.generate_content(
            model="gemini-2.5-flash", contents=WORDS,
            config=types.GenerateContentConfig(max_output_tokens=200)), errors.ClientError),
    }[name]
    for passed in range(1000):
        try:
            call()
        except expected as error:
            status = getattr(error, "status_code", None) or error.code
            return {"passed": passed, "said": f"{type(error).__name__} {status}", "text": str(error)}
    raise SystemExit(f"{name}: the budget did not hold")


what, url, token = sys.argv[1:]
if what == "use":
    print(json.dumps({"versions": VERSIONS, "calls": use(*clients(url, token))}))
else:
    print(json.dumps(until_refused(what, *clients(url, token))))
