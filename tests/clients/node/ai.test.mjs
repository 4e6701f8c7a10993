// The Vercel AI SDK against a running gateway, through both of its OpenAI providers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { createOpenAI } from "@ai-sdk/openai";
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, Output, stepCountIs, streamText, tool } from "ai";
import { z } from "zod";

const settings = { baseURL: process.env.OUTCROP_URL, apiKey: process.env.OUTCROP_KEY };
const providers = {
  openai: createOpenAI(settings).chat("claude-sonnet-4-6"),
  compatible: createOpenAICompatible({ ...settings, name: "outcrop", supportsStructuredOutputs: true }).chatModel("claude-sonnet-4-6"),
};

for (const [name, model] of Object.entries(providers)) {
  test(`${name}: text`, async () => {
    const { text, finishReason, usage } = await generateText({ model, prompt: "Say exactly: hello sdk" });
    assert.match(text, /hello sdk/);
    assert.equal(finishReason, "stop");
    assert.ok(usage.outputTokens > 0);
  });

  test(`${name}: stream`, async () => {
    const result = streamText({ model, prompt: "Say exactly: one two three four five" });
    let text = "";
    for await (const part of result.textStream) text += part;
    assert.match(text, /one two three four five/);
  });

  test(`${name}: tools over several steps, streamed`, async () => {
    let asked = 0;
    const result = streamText({
      model,
      prompt: "What is the weather in Oslo? Use get_weather.",
      stopWhen: stepCountIs(4),
      tools: {
        get_weather: tool({
          description: "Tells the weather of a city",
          inputSchema: z.object({ city: z.string() }),
          execute: async () => {
            asked += 1;
            return "4 degrees";
          },
        }),
      },
    });
    assert.match(await result.text, /4 degrees/);
    assert.equal(asked, 1);
  });

  test(`${name}: structured output`, async () => {
    const schema = z.object({ name: z.string(), age: z.number().int() });
    const { output } = await generateText({ model, prompt: "Make up a person.", output: Output.object({ schema }) });
    schema.parse(output);
  });
}
