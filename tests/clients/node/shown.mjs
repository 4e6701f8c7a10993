// Tests that say which client and features they show: a cell each of the README's table (see ../matrix.py).
import { appendFileSync } from "node:fs";
import { test } from "node:test";

const file = process.env.OUTCROP_SHOWN;

/** A `test` for one client: `shows("text", "stream")("title", run)`. */
export const client = (name) => (...features) => (title, run) =>
  test(title, async (context) => {
    let passed = false;
    try {
      await run(context);
      passed = true;
    } finally {
      const lines = features.map((feature) => JSON.stringify({ client: name, feature, passed, test: title }) + "\n");
      if (file) appendFileSync(file, lines.join(""));
    }
  });
