// The unmodified official Node client for messages, against a running gateway.
import assert from "node:assert/strict";
import Anthropic, { NotFoundError, AuthenticationError } from "@anthropic-ai/sdk";
import { client as of } from "./shown.mjs";

const shows = of("anthropic (Node): messages");
const baseURL = process.env.OUTCROP_URL.replace(/\/v1$/, "/anthropic");
const client = new Anthropic({ baseURL, apiKey: process.env.OUTCROP_KEY, maxRetries: 0 });
const ask = (text, more = {}) => ({ model: "claude-sonnet-4-6", max_tokens: 300, messages: [{ role: "user", content: text }], ...more });
const words = (message) => message.content.filter((block) => block.type === "text").map((block) => block.text).join("");

shows("text")("message", async () => {
  const message = await client.messages.create(ask("Say exactly: hello node"));
  assert.match(words(message), /hello node/);
  assert.equal(message.stop_reason, "end_turn");
});

shows("stream")("stream helper", async () => {
  const stream = client.messages.stream(ask("Say exactly: a b c d e f g"));
  let text = "";
  stream.on("text", (delta) => (text += delta));
  const final = await stream.finalMessage();
  assert.match(text, /a b c d e f g/);
  assert.equal(words(final), text);
  assert.ok(final.usage.input_tokens > 0 && final.usage.output_tokens > 0);
});

shows("tools")("a streamed tool call is put together", async () => {
  const input_schema = { type: "object", properties: { city: { type: "string" } }, required: ["city"] };
  const tools = [{ name: "get_weather", description: "Tells the weather of a city", input_schema }];
  const final = await client.messages.stream(ask("What is the weather in Rome? Use get_weather.", { tools })).finalMessage();
  const call = final.content.find((block) => block.type === "tool_use");
  assert.equal(call.name, "get_weather");
  assert.ok("city" in call.input);
  assert.equal(final.stop_reason, "tool_use");
});

shows("stream", "hosted tools")("a search cites its source", async () => {
  const tools = [{ type: "web_search_20250305", name: "web_search" }];
  const final = await client.messages.stream(ask("Who invented the zipper?", { model: "amazon.nova-2-lite-v1:0", tools })).finalMessage();
  const [source] = final.content[0].citations;
  assert.equal(source.type, "web_search_result_location");
  assert.match(source.url, /^https:/);
  assert.equal(final.stop_reason, "end_turn");
});

shows("models")("models by pages", async () => {
  const ids = [];
  for await (const model of client.models.list({ limit: 5 })) ids.push(model.id);
  assert.ok(ids.includes("claude-sonnet-4-6"));
  assert.equal(new Set(ids).size, ids.length);
});

shows("errors")("errors have their classes", async () => {
  await assert.rejects(client.messages.create(ask("x", { model: "no-such-model" })), NotFoundError);
  const stranger = new Anthropic({ baseURL, apiKey: "wrong", maxRetries: 0 });
  await assert.rejects(stranger.messages.create(ask("x")), AuthenticationError);
});

shows("counting")("tokens are counted as they are billed", async () => {
  const request = ask("Say exactly: counted ".repeat(50));
  const { input_tokens } = await client.messages.countTokens({ model: request.model, messages: request.messages });
  assert.equal(input_tokens, (await client.messages.create(request)).usage.input_tokens);
});

shows("thinking")("thinking is streamed and goes back as it came", async () => {
  const tools = [{ name: "get_weather", description: "Tells the weather of a city", input_schema: { type: "object", properties: { city: { type: "string" } } } }];
  const wishes = { tools, max_tokens: 4000, thinking: { type: "enabled", budget_tokens: 1024 } };
  const first = await client.messages.stream(ask("What is the weather in Rome? Use get_weather.", wishes)).finalMessage();
  assert.equal(first.content[0].type, "thinking");
  assert.ok(first.content[0].signature);
  const call = first.content.find((block) => block.type === "tool_use");
  const messages = [
    { role: "user", content: "What is the weather in Rome? Use get_weather." },
    { role: "assistant", content: first.content },
    { role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "18 degrees" }] },
  ];
  assert.match(words(await client.messages.create(ask("", { ...wishes, messages }))), /18 degrees/);
});

shows("caching")("a cached prompt shows in usage", async () => {
  const system = [{ type: "text", text: "You are a careful librarian of Alexandria. ".repeat(1200), cache_control: { type: "ephemeral" } }];
  await client.messages.create(ask("Say exactly: hi", { system }));
  const { usage } = await client.messages.create(ask("Say exactly: hi", { system }));
  assert.ok(usage.cache_read_input_tokens > 1000);
});
