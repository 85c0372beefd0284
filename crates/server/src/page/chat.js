// The conversation.

import { answer as ask } from "./api.js";
import { announce, byId, eachFrame } from "./dom.js";
import * as files from "./files.js";
import { answer, question } from "./message.js";
import * as settings from "./settings.js";
import * as store from "./store.js";

const NEAR = 80;

const conversation = byId("conversation");
const log = byId("log");
const field = byId("message");
const sender = byId("send");
const messages = [store.read("conversation", [])].flat().filter((one) => typeof one?.content === "string");
/** Ends the answer that is being written; `null` while none is. */
let running = null;

/** Whether an answer is being written. */
export const isRunning = () => running !== null;

/** Ends the answer that is being written. */
export const stop = () => running?.abort();

/** Forgets the conversation. */
export function clear() {
  stop();
  messages.length = 0;
  log.replaceChildren();
  files.set([]);
  settings.showModel();
  keep();
  announce("The conversation is cleared.");
  field.focus();
}

/** Keeps the conversation in the browser. */
export function keep() {
  const kept = store.write("conversation", messages);
  if (!kept) files.say(["The browser has no room to keep this conversation: it is lost when the page is closed."]);
  byId("welcome").hidden = messages.length > 0;
}

function show(message) {
  if (message.role === "user") {
    log.append(question(message, edit));
    return null;
  }
  const view = answer(message, again);
  log.append(view.node);
  return view;
}

function add(message) {
  messages.push(message);
  const view = show(message);
  keep();
  toEnd();
  return view;
}

/** Takes back the last message. */
function drop() {
  log.lastChild.remove();
  return messages.pop();
}

/** Writes the last answer anew. */
function again() {
  if (running || !settings.areGood()) return;
  drop();
  // The button is gone; who uses the keyboard stays near.
  conversation.focus({ preventScroll: true });
  write();
}

/** Puts the last question back into the field. */
function edit() {
  if (running) return;
  let last = drop();
  while (last.role !== "user") last = drop();
  field.value = [last.content, field.value].filter(Boolean).join("\n");
  files.set(last.files ?? []);
  keep();
  field.focus();
}

/** Sends what is in the field. */
function send() {
  const content = field.value.trim();
  if (running || !settings.areGood()) return;
  const attached = files.take();
  if (content === "" && attached.length === 0) return;
  field.value = "";
  add({ role: "user", content, files: attached });
  write();
}

/** What the model reads: templates want roles in turn, so questions in a row become one. */
function prompt() {
  const system = settings.systemPrompt();
  const list = system ? [{ role: "system", content: system }] : [];
  for (const message of messages) {
    const { role } = message;
    const content = role === "user" ? files.withFiles(message) : message.content.trim();
    const last = list.at(-1);
    if (content === "") continue;
    if (last?.role === role) last.content += `\n\n${content}`;
    else list.push({ role, content });
  }
  return list;
}

/** Asks for an answer and shows it as it comes. */
async function write() {
  const request = { ...settings.parameters(), messages: prompt() };
  const message = { role: "assistant", content: "", model: settings.model().name, facts: {} };
  const own = new AbortController();
  running = own;
  const view = add(message);
  const draw = () => {
    const follows = isAtEnd();
    busy(isRunning());
    view.update(running === own);
    if (follows) toEnd();
  };
  draw();
  announce("The answer is being written.");
  try {
    await follow(message, ask(request, own.signal), eachFrame(draw));
  } catch (error) {
    if (own.signal.aborted) message.finish = "stopped";
    else message.error = error.message;
  }
  if (running === own) running = null;
  // A model that came for this answer has told how much it reads.
  if (settings.model().context === 0) settings.loadModels().catch(() => {});
  draw();
  if (!view.node.isConnected) return;
  keep();
  const words = message.content.trim();
  announce(message.error ?? (message.finish === "stopped" ? "Stopped." : `The answer: ${words}`));
}

/** Puts the parts of an answer into a message, and what it took. */
async function follow(message, parts, draw) {
  const { facts } = message;
  const begin = performance.now();
  let first = 0;
  for await (const part of parts) {
    const [choice] = part.choices;
    const text = choice?.delta?.content;
    const thought = choice?.delta?.reasoning_content;
    message.finish = choice?.finish_reason ?? message.finish;
    if (text || thought) {
      const now = performance.now();
      first ||= now;
      message.content += text ?? "";
      if (thought) message.thought = (message.thought ?? "") + thought;
      // One part for each token, nearly; the end brings the exact number.
      facts.tokens = (facts.tokens ?? 0) + 1;
      facts.first = (first - begin) / 1000;
      facts.writing = (now - first) / 1000;
      draw();
    }
    if (part.usage) {
      facts.tokens = part.usage.completion_tokens;
      facts.prompt = part.usage.prompt_tokens;
      facts.cached = part.usage.prompt_tokens_details?.cached_tokens ?? 0;
      settings.showModel(part.usage.total_tokens);
    }
  }
}

function busy(is) {
  log.dataset.busy = String(is);
  sender.textContent = is ? "Stop" : "Send";
  sender.classList.toggle("stop", is);
}

const isAtEnd = () =>
  conversation.scrollHeight - conversation.scrollTop - conversation.clientHeight < NEAR;

function toEnd() {
  conversation.scrollTop = conversation.scrollHeight;
}

byId("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  if (running) stop();
  else send();
});
field.addEventListener("keydown", (event) => {
  // Touch keyboards have no other way to break a line.
  const touch = matchMedia("(hover: none) and (pointer: coarse)").matches;
  if (event.key !== "Enter" || event.shiftKey || event.isComposing || touch) return;
  event.preventDefault();
  send();
});
if (!CSS.supports("field-sizing", "content")) {
  field.addEventListener("input", () => (field.rows = Math.min(8, field.value.split("\n").length)));
}
addEventListener("pagehide", () => {
  // Otherwise it is kept already, or another tab has kept a newer one.
  if (running) keep();
});

messages.forEach(show);
busy(false);
keep();
toEnd();
