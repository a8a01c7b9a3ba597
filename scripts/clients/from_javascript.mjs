// The official JavaScript clients: `from_javascript.mjs use|CLIENT URL TOKEN`, which are found in the
// directory CLIENTS. Does and prints the same as from_python.py.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const require = createRequire(`${process.env.CLIENTS}/`);
const { Anthropic } = require("@anthropic-ai/sdk");
const { OpenAI } = require("openai");
const { GoogleGenAI } = require("@google/genai");
const { dependencies } = require("./package.json");

const words = "hello ".repeat(200);
const hello = [{ role: "user", content: words }];
const schema = { type: "object", properties: { city: { type: "string" } } };
const city = { city: "Zürich" };

const [what, url, token] = process.argv.slice(2);
const one = new Anthropic({ baseURL: `${url}/anthropic`, apiKey: token });
const two = new OpenAI({ baseURL: `${url}/openai/v1`, apiKey: token });
const three = new GoogleGenAI({ apiKey: token, httpOptions: { baseUrl: `${url}/gemini` } });

async function collect(stream) {
  const all = [];
  for await (const each of stream) all.push(each);
  return all;
}

async function use() {
  const message = {
    model: "claude-haiku-4-5", max_tokens: 200, messages: hello,
    tools: [{ name: "weather", input_schema: schema }],
  };
  const said = await one.messages.create(message);
  assert.equal(said.content[0].text, "grüezi 🦀");
  assert.deepEqual(said.content[1].input, city);
  const stream = one.messages.stream(message);
  let text = "";
  stream.on("text", (piece) => { text += piece; });
  const last = await stream.finalMessage();
  assert.equal(text, "grüezi 🦀");
  assert.deepEqual([last.content[1].input, last.usage.output_tokens], [city, 100]);
  const counted = await one.messages.countTokens({ model: message.model, messages: hello });
  assert.equal(counted.input_tokens, 1000);

  const chat = {
    model: "gpt-4o", messages: hello, max_completion_tokens: 200,
    tools: [{ type: "function", function: { name: "weather", parameters: schema } }],
  };
  const whole = await two.chat.completions.create(chat);
  assert.deepEqual(JSON.parse(whole.choices[0].message.tool_calls[0].function.arguments), city);
  const options = { stream: true, stream_options: { include_usage: true } };
  const chunks = await collect(await two.chat.completions.create({ ...chat, ...options }));
  assert.equal(chunks[0].choices[0].delta.content, "grüezi 🦀");
  assert.equal(chunks.at(-1).usage.completion_tokens, 100);
  const ask = { model: "gpt-4o", input: words, max_output_tokens: 200 };
  assert.equal((await two.responses.create(ask)).output_text, "grüezi 🦀");
  const events = await collect(await two.responses.create({ ...ask, stream: true }));
  assert.equal(events.at(-1).response.output[1].name, "weather");
  const models = await collect(await two.models.list());
  assert.deepEqual(models.map((model) => model.id), ["gpt-4o"]);

  const content = {
    model: "gemini-2.5-flash", contents: words, config: { maxOutputTokens: 200 },
  };
  assert.deepEqual((await three.models.generateContent(content)).functionCalls[0].args, city);
  const pieces = await collect(await three.models.generateContentStream(content));
  assert.equal(pieces[0].text, "grüezi 🦀");
  assert.equal(pieces[1].functionCalls[0].name, "weather");
  const calls = { "claude-haiku-4-5": 2, "gpt-4o": 4, "gemini-2.5-flash": 2 };
  return { versions: Object.entries(dependencies).map((each) => each.join(" ")), calls };
}

const once = {
  anthropic: () =>
    one.messages.create({ model: "claude-haiku-4-5", max_tokens: 200, messages: hello }),
  "openai-chat": () =>
    two.chat.completions.create({ model: "gpt-4o", max_completion_tokens: 200, messages: hello }),
  "openai-responses": () =>
    two.responses.create({ model: "gpt-4o", max_output_tokens: 200, input: words }),
  gemini: () =>
    three.models.generateContent({
      model: "gemini-2.5-flash", contents: words, config: { maxOutputTokens: 200 },
    }),
};

async function untilRefused(call) {
  for (let passed = 0; passed < 1000; passed += 1) {
    try {
      await call();
    } catch (error) {
      if (!error.status) throw error;
      return { passed, said: `${error.constructor.name} ${error.status}`, text: error.message };
    }
  }
  throw new Error(`${what}: the budget did not hold`);
}

console.log(JSON.stringify(what === "use" ? await use() : await untilRefused(once[what])));
