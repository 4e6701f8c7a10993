// The Responses API and legacy completions through the unmodified official Node client, against a running gateway.
import assert from "node:assert/strict";
import OpenAI, { AuthenticationError, BadRequestError, NotFoundError } from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { client as of } from "./shown.mjs";

const shows = of("openai (Node): responses");
const legacy = of("openai (Node): completions");
const client = new OpenAI({ baseURL: process.env.OUTCROP_URL, apiKey: process.env.OUTCROP_KEY, maxRetries: 0 });
const model = "claude-sonnet-4-6";
const weather = {
  type: "function",
  name: "get_weather",
  description: "Tells the weather of a city",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false },
  strict: true,
};
const question = { role: "user", content: "What is the weather in Rome? Use get_weather." };
const callOf = (response) => response.output.find((item) => item.type === "function_call");
const answerTo = (call, output) => ({ type: "function_call_output", call_id: call.call_id, output });

shows("text")("text", async () => {
  const response = await client.responses.create({ model, input: "Say exactly: hello node" });
  assert.match(response.output_text, /hello node/);
  assert.equal(response.status, "completed");
  assert.ok(response.usage.output_tokens > 0);
});

shows("stream")("events come in order and number", async () => {
  const stream = await client.responses.create({ model, input: "Say exactly: a b c d e f g h", stream: true });
  const events = [];
  for await (const event of stream) events.push(event);
  assert.deepEqual(events.map((event) => event.sequence_number), events.map((_, index) => index));
  assert.equal(events[0].type, "response.created");
  assert.equal(events.at(-1).type, "response.completed");
  const text = events.filter((event) => event.type === "response.output_text.delta").map((event) => event.delta).join("");
  assert.equal(text, events.at(-1).response.output[0].content[0].text);
});

shows("stream")("stream helper", async () => {
  const stream = client.responses.stream({ model, input: "Say exactly: helped along" });
  let text = "";
  stream.on("response.output_text.delta", (event) => (text += event.delta));
  const final = await stream.finalResponse();
  assert.equal(final.output_text, text);
  assert.match(text, /helped along/);
});

shows("tools", "stream")("a tool there and back, streamed", async () => {
  const first = await client.responses.stream({ model, input: [question], tools: [weather], store: false }).finalResponse();
  const call = callOf(first);
  assert.ok("city" in JSON.parse(call.arguments));
  const input = [question, ...first.output, answerTo(call, "19 degrees")];
  const second = await client.responses.create({ model, input, tools: [weather], store: false });
  assert.match(second.output_text, /19 degrees/);
});

shows("stream", "hosted tools")("a search is told as it goes, and its source is cited", async () => {
  const stream = client.responses.stream({ model: "amazon.nova-2-lite-v1:0", input: "Who invented the zipper?", tools: [{ type: "web_search" }] });
  const steps = [];
  for await (const event of stream) if (/web_search_call|annotation/.test(event.type)) steps.push(event.type.replace("response.", ""));
  const told = ["in_progress", "searching", "completed"].map((word) => `web_search_call.${word}`);
  assert.deepEqual(steps, [...told, "output_text.annotation.added"]);
  const [search, message] = (await stream.finalResponse()).output;
  assert.equal(search.action.query, "invented zipper");
  const [source] = message.content[0].annotations;
  assert.match(message.content[0].text.slice(source.start_index, source.end_index), /^According to .* documented$/);
  assert.match(source.url, /^https:/);
});

shows("hosted tools", "errors")("a hosted tool that the model lacks is named", async () => {
  for (const type of ["web_search", "image_generation"]) {
    const refused = client.responses.create({ model, input: "Hello", tools: [{ type }] });
    await assert.rejects(refused, (error) => error instanceof BadRequestError && error.message.includes(`'${type}'`));
  }
});

shows("tools")("a custom tool takes plain text", async () => {
  const tools = [{ type: "custom", name: "take_note", description: "Takes a note" }];
  const response = await client.responses.create({ model, input: 'Take a note that says "buy milk". Use take_note.', tools });
  const call = response.output.find((item) => item.type === "custom_tool_call");
  assert.equal(call.name, "take_note");
  assert.ok(call.input.length > 0 && !call.input.startsWith("{"));
});

shows("structured")("parse", async () => {
  const format = zodTextFormat(z.object({ name: z.string(), age: z.number().int() }), "person");
  const response = await client.responses.parse({ model, input: "Make up a person.", text: { format } });
  assert.equal(typeof response.output_parsed.name, "string");
});

shows("thinking")("encrypted reasoning goes there and back", async () => {
  const wishes = { model, tools: [weather], store: false, reasoning: { effort: "low" }, include: ["reasoning.encrypted_content"] };
  const first = await client.responses.create({ ...wishes, input: [question] });
  assert.ok(first.output[0].encrypted_content);
  const input = [question, ...first.output, answerTo(callOf(first), "19 degrees")];
  assert.match((await client.responses.create({ ...wishes, input })).output_text, /19 degrees/);
});

shows("stored")("retrieve, go on, list, delete", async () => {
  const first = await client.responses.create({ model, input: [question], tools: [weather] });
  assert.deepEqual((await client.responses.retrieve(first.id)).output, first.output);
  const more = { model, tools: [weather], previous_response_id: first.id, input: [answerTo(callOf(first), "19 degrees")] };
  const second = await client.responses.create(more);
  assert.match(second.output_text, /19 degrees/);
  const items = [];
  for await (const item of client.responses.inputItems.list(second.id, { order: "asc", limit: 1 })) items.push(item);
  assert.equal(items.at(-1).type, "function_call_output");
  await client.responses.delete(first.id);
  await assert.rejects(client.responses.retrieve(first.id), NotFoundError);
});

shows("stored")("conversations", async () => {
  const conversation = await client.conversations.create({ metadata: { topic: "bees" } });
  await client.responses.create({ model, input: "Say exactly: noted", conversation: conversation.id });
  const roles = [];
  for await (const item of client.conversations.items.list(conversation.id, { order: "asc" })) roles.push(item.role);
  assert.deepEqual(roles, ["user", "assistant"]);
  await client.conversations.delete(conversation.id);
  await assert.rejects(client.conversations.retrieve(conversation.id), NotFoundError);
});

shows("background")("background work is polled", async () => {
  let response = await client.responses.create({ model, input: "Say exactly: done meanwhile", background: true });
  const deadline = Date.now() + 20_000;
  while (["queued", "in_progress"].includes(response.status) && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 50));
    response = await client.responses.retrieve(response.id);
  }
  assert.match(response.output_text, /done meanwhile/);
});

shows("errors")("errors keep their class and code", async () => {
  await assert.rejects(client.responses.create({ model: "nope", input: "x" }), (error) => {
    assert.ok(error instanceof NotFoundError);
    assert.equal(error.code, "model_not_found");
    return true;
  });
  await assert.rejects(client.responses.create({ model, input: "x", temperature: 3 }), BadRequestError);
  await assert.rejects(client.responses.retrieve("resp_0000"), NotFoundError);
  const stranger = new OpenAI({ baseURL: process.env.OUTCROP_URL, apiKey: "wrong", maxRetries: 0 });
  await assert.rejects(stranger.responses.create({ model, input: "x" }), AuthenticationError);
});

legacy("text", "stream")("completion, whole and streamed", async () => {
  const request = { model, prompt: "Say exactly: hello legacy", max_tokens: 50 };
  const whole = await client.completions.create(request);
  assert.match(whole.choices[0].text, /hello legacy/);
  let text = "";
  for await (const chunk of await client.completions.create({ ...request, stream: true })) text += chunk.choices[0]?.text ?? "";
  assert.equal(text, whole.choices[0].text);
});
