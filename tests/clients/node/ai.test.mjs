// The Vercel AI SDK against a running gateway, through all of its providers that can be pointed there.
import assert from "node:assert/strict";
import { createAmazonBedrock } from "@ai-sdk/amazon-bedrock";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";
import { client as of } from "./shown.mjs";

const baseURL = process.env.OUTCROP_URL;
const apiKey = process.env.OUTCROP_KEY;
const root = baseURL.replace(/\/v1$/, "");
const openai = createOpenAI({ baseURL, apiKey });
const compatible = createOpenAICompatible({ baseURL, apiKey, name: "outcrop", includeUsage: true, supportsStructuredOutputs: true });
const anthropic = createAnthropic({ baseURL: `${root}/anthropic/v1`, apiKey });
const bedrock = createAmazonBedrock({ baseURL: root, apiKey, region: "us-east-1" });

const thinking = {
  responses: { openai: { reasoningEffort: "low", reasoningSummary: "auto", store: false, include: ["reasoning.encrypted_content"], forceReasoning: true } },
  anthropic: { anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } } },
  bedrock: { bedrock: { reasoningConfig: { type: "enabled", budgetTokens: 1024 } } },
};
const providers = {
  "AI SDK: openai, chat": { named: openai.chat },
  "AI SDK: openai, responses": { named: openai.responses, thinking: thinking.responses },
  "AI SDK: openai-compatible, chat": { named: compatible.chatModel },
  "AI SDK: anthropic, messages": { named: anthropic, thinking: thinking.anthropic },
  // This one tells by the id what a model can do.
  "AI SDK: amazon-bedrock": { named: bedrock, id: "us.anthropic.claude-sonnet-4-6", thinking: thinking.bedrock },
};

const weather = (answer) =>
  tool({ description: "Tells the weather of a city", inputSchema: z.object({ city: z.string() }), execute: async () => answer() });

for (const [name, { named, id = "claude-sonnet-4-6", thinking }] of Object.entries(providers)) {
  const shows = of(name);
  const model = named(id);

  shows("text")(`${name}: text`, async () => {
    const { text, finishReason, usage } = await generateText({ model, prompt: "Say exactly: hello sdk" });
    assert.match(text, /hello sdk/);
    assert.equal(finishReason, "stop");
    assert.ok(usage.outputTokens > 0);
  });

  shows("stream")(`${name}: stream`, async () => {
    const result = streamText({ model, prompt: "Say exactly: one two three four five" });
    let text = "";
    for await (const part of result.textStream) text += part;
    assert.match(text, /one two three four five/);
    assert.ok((await result.usage).outputTokens > 0);
  });

  shows("tools", "stream")(`${name}: tools over several steps, streamed`, async () => {
    let asked = 0;
    const result = streamText({
      model,
      prompt: "What is the weather in Oslo? Use get_weather.",
      stopWhen: stepCountIs(4),
      tools: { get_weather: weather(() => `${4 * ++asked} degrees`) },
    });
    assert.match(await result.text, /4 degrees/);
    assert.equal(asked, 1);
  });

  shows("tools")(`${name}: tools over several steps`, async () => {
    const tools = { get_weather: weather(() => "4 degrees") };
    const result = await generateText({ model, prompt: "What is the weather in Oslo? Use get_weather.", stopWhen: stepCountIs(4), tools });
    assert.match(result.text, /4 degrees/);
    assert.equal(result.steps.length, 2);
  });

  shows("structured")(`${name}: structured output`, async () => {
    const schema = z.object({ name: z.string(), age: z.number().int() });
    const { output } = await generateText({ model, prompt: "Make up a person.", output: Output.object({ schema }) });
    schema.parse(output);
  });

  shows("errors")(`${name}: an unknown model is an error with the gateway's words`, async () => {
    await assert.rejects(generateText({ model: named("no-such-model"), prompt: "hi", maxRetries: 0 }), /no-such-model|identifier/);
  });

  if (thinking) {
    shows("thinking")(`${name}: thinking goes back with the results of tools`, async () => {
      const result = await generateText({
        model,
        prompt: "What is the weather in Oslo? Use get_weather.",
        stopWhen: stepCountIs(4),
        tools: { get_weather: weather(() => "4 degrees") },
        providerOptions: thinking,
      });
      assert.match(result.text, /4 degrees/);
      assert.ok(result.steps[0].reasoning.length > 0);
    });
  }
}
