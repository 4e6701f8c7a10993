// The unmodified official Node client against a running gateway.
import assert from "node:assert/strict";
import OpenAI, { NotFoundError, AuthenticationError } from "openai";
import { client as of } from "./shown.mjs";

const shows = of("openai (Node): chat");
const client = new OpenAI({ baseURL: process.env.OUTCROP_URL, apiKey: process.env.OUTCROP_KEY, maxRetries: 0 });
const model = "claude-sonnet-4-6";
const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "Tells the weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

shows("text")("text", async () => {
  const answer = await client.chat.completions.create({ model, messages: [{ role: "user", content: "Say exactly: hello node" }] });
  assert.match(answer.choices[0].message.content, /hello node/);
  assert.equal(answer.choices[0].finish_reason, "stop");
});

shows("stream")("stream", async () => {
  const stream = await client.chat.completions.create({
    model,
    messages: [{ role: "user", content: "Say exactly: a b c d e f g h i j k" }],
    stream: true,
    stream_options: { include_usage: true },
  });
  let text = "";
  let usage = null;
  for await (const chunk of stream) {
    text += chunk.choices[0]?.delta?.content ?? "";
    usage = chunk.usage ?? usage;
  }
  assert.match(text, /a b c d e f g h i j k/);
  assert.ok(usage.completion_tokens > 0);
});

shows("tools", "stream")("stream helper assembles tool calls", async () => {
  const stream = client.chat.completions.stream({
    model,
    messages: [{ role: "user", content: "What is the weather in Rome? Use get_weather." }],
    tools: [weather],
  });
  const final = await stream.finalChatCompletion();
  const [call] = final.choices[0].message.tool_calls;
  assert.equal(call.function.name, "get_weather");
  assert.ok("city" in JSON.parse(call.function.arguments));
});

shows("tools")("runTools goes through a whole conversation", async () => {
  let asked = 0;
  const runner = client.chat.completions.runTools({
    model,
    messages: [{ role: "user", content: "What is the weather in Rome? Use get_weather." }],
    tools: [{ type: "function", function: { ...weather.function, parse: JSON.parse, function: async () => { asked += 1; return "19 degrees"; } } }],
  });
  const content = await runner.finalContent();
  assert.equal(asked, 1);
  assert.match(content, /19 degrees/);
});

shows("errors")("errors keep their class and code", async () => {
  await assert.rejects(client.chat.completions.create({ model: "nope", messages: [{ role: "user", content: "x" }] }), (error) => {
    assert.ok(error instanceof NotFoundError);
    assert.equal(error.code, "model_not_found");
    return true;
  });
  const stranger = new OpenAI({ baseURL: process.env.OUTCROP_URL, apiKey: "wrong", maxRetries: 0 });
  await assert.rejects(stranger.models.list(), AuthenticationError);
});

shows("stream")("a client that aborts leaves the gateway well", async () => {
  const abort = new AbortController();
  const stream = await client.chat.completions.create(
    { model, messages: [{ role: "user", content: "Write a very long story about the sea." }], stream: true },
    { signal: abort.signal },
  );
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta?.content) {
      abort.abort();
      break;
    }
  }
  const answer = await client.chat.completions.create({ model, messages: [{ role: "user", content: "Say exactly: fine" }] });
  assert.match(answer.choices[0].message.content, /fine/);
});
