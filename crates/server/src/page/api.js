// Talks to the server. Addresses are relative, so that the page also works below a path of a proxy.

import { askForKey } from "./key.js";
import { readKey } from "./store.js";

const CUT = "The connection ended before the answer did.";

/** The server said no, or nothing. */
export class Refusal extends Error {
  constructor(message, status = 0) {
    super(message);
    this.status = status;
  }
}

/** Sends a request; asks for the API key where the server wants one, unless `asks` is false. */
export async function call(path, { asks = true, good = (response) => response.ok, ...options } = {}) {
  for (;;) {
    const key = readKey();
    const headers = { ...options.headers };
    if (key) headers.authorization = `Bearer ${key}`;
    const response = await send(path, { ...options, headers });
    if (good(response)) return response;
    if (response.status !== 401) throw await reason(response);
    const why = key ? "The server does not accept this API key." : "The server wants an API key.";
    if (!asks || !(await askForKey(why))) throw new Refusal(why, 401);
  }
}

async function send(path, options) {
  try {
    return await fetch(path, { cache: "no-store", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal("The server cannot be reached. Does it still run?");
  }
}

/** Why a response is not good, in the server's words where it has some. */
async function reason(response) {
  const text = await response.text().catch(() => "");
  let message;
  try {
    message = JSON.parse(text).error.message;
  } catch {
    message = `the server answered with status ${response.status}`;
  }
  return new Refusal(sentence(message), response.status);
}

function sentence(text) {
  const line = String(text);
  return line.charAt(0).toUpperCase() + line.slice(1) + (/[.!?]$/.test(line) ? "" : ".");
}

/** The models of the server. */
export async function models() {
  const response = await call("v1/models");
  return (await response.json()).data;
}

/** The parts of an answer, as they come. */
export async function* answer(request, signal) {
  const response = await call("v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...request, stream: true, stream_options: { include_usage: true } }),
    signal,
  });
  let done = false;
  for await (const data of events(response.body)) {
    done = data === "[DONE]";
    if (done) continue;
    const part = JSON.parse(data);
    if (part.error) throw new Refusal(sentence(part.error.message));
    yield part;
  }
  if (!done) throw new Refusal(CUT);
}

/** The data of server-sent events. */
async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  let data = [];
  try {
    for (;;) {
      const { done, value } = await read(reader);
      if (done) return;
      const lines = (rest + value).split(/\r?\n/);
      rest = lines.pop();
      for (const line of lines) {
        if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
        if (line !== "" || data.length === 0) continue;
        yield data.join("\n");
        data = [];
      }
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

async function read(reader) {
  try {
    return await reader.read();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(CUT);
  }
}
