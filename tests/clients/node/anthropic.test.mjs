// The unmodified official Node client for messages, against a running gateway.
import assert from "node:assert/strict";
import { test } from "node:test";
import Anthropic, { NotFoundError, AuthenticationError } from "@anthropic-ai/sdk";

const baseURL = process.env.OUTCROP_URL.replace(/\/v1$/, "/anthropic");
const client = new Anthropic({ baseURL, apiKey: process.env.OUTCROP_KEY, maxRetries: 0 });
const ask = (text, more = {}) => ({ model: "claude-sonnet-4-6", max_tokens: 300, messages: [{ role: "user", content: text }], ...more });
const words = (message) => message.content.filter((block) => block.type === "text").map((block) => block.text).join("");

test("message", async () => {
  const message = await client.messages.create(ask("Say exactly: hello node"));
  assert.match(words(message), /hello node/);
  assert.equal(message.stop_reason, "end_turn");
});

test("stream helper", async () => {
  const stream = client.messages.stream(ask("Say exactly: a b c d e f g"));
  let text = "";
  stream.on("text", (delta) => (text += delta));
  const final = await stream.finalMessage();
  assert.match(text, /a b c d e f g/);
  assert.equal(words(final), text);
  assert.ok(final.usage.input_tokens > 0 && final.usage.output_tokens > 0);
});

test("a streamed tool call is put together", async () => {
  const input_schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
  const tools = [{ name: "get_weather", description: "Tells the weather of a city", input_schema }];
  const final = await client.messages.stream(ask("What is the weather in Rome? Use get_weather.", { tools })).finalMessage();
  const call = final.content.find((block) => block.type === "tool_use");
  assert.equal(call.name, "get_weather");
  assert.ok("city" in call.input);
  assert.equal(final.stop_reason, "tool_use");
});

test("models by pages", async () => {
  const ids = [];
  for await (const model of client.models.list({ limit: 5 })) ids.push(model.id);
  assert.ok(ids.includes("claude-sonnet-4-6"));
  assert.equal(new Set(ids).size, ids.length);
});

test("errors have their classes", async () => {
  await assert.rejects(client.messages.create(ask("x", { model: "no-such-model" })), NotFoundError);
  const stranger = new Anthropic({ baseURL, apiKey: "wrong", maxRetries: 0 });
  await assert.rejects(stranger.messages.create(ask("x")), AuthenticationError);
});
