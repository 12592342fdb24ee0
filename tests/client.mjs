// A client in another language: sends what was recorded to stub servers, and tells what came back.
//
// Reads from standard input a JSON list of {url, shown}, where `shown` is what `replaykit show --json` says of a
// bundle, and writes a JSON list with a list of answers for each.
import { text } from "node:stream/consumers";

const OWN = new Set(["host", "connection", "content-length", "transfer-encoding", "accept-encoding", "user-agent"]);

function exchanges(shown) {
  const steps = shown.steps.flatMap((step) => [...step.requests, ...step.reading]);
  return [...shown.resetting, ...steps, ...shown.closing, ...shown.requests];
}

function bytes(body) {
  return Buffer.from(body.text, body.encoding === "base64" ? "base64" : "utf-8");
}

async function ask(url, { method, url: recorded, headers, body }) {
  const there = new URL(recorded);
  try {
    const answer = await fetch(url + there.pathname + there.search, {
      method,
      headers: headers.filter(([name]) => !OWN.has(name.toLowerCase())),
      body: body === null ? undefined : bytes(body),
      redirect: "manual",
    });
    const came = Buffer.from(await answer.arrayBuffer());
    return { status: answer.status, reason: answer.statusText, body: came.toString("base64") };
  } catch (error) {
    return { error: String(error.cause ?? error) };
  }
}

const answers = [];
for (const { url, shown } of JSON.parse(await text(process.stdin))) {
  const came = [];
  for (const each of exchanges(shown)) came.push(await ask(url, each.request));
  answers.push(came);
}
process.stdout.write(JSON.stringify(answers));
