// How a message is shown.

import { copyButton, count, element, seconds, size } from "./dom.js";
import { render } from "./markdown.js";

/** What a user wrote, and a button to change it. */
export function question(message, edit) {
  const files = (message.files ?? []).map((file) => {
    const summary = element("summary", { textContent: `${file.name} (${size(file.bytes)})` });
    const text = element("pre", { textContent: file.text, tabIndex: 0 });
    return element("details", { className: "file" }, summary, text);
  });
  const text = element("p", { className: "words", textContent: message.content });
  const change = button("Edit", "last", edit);
  const foot = element("footer", {}, change);
  const article = element("article", { className: "question" }, title("You"), text, ...files, foot);
  text.hidden = message.content === "";
  return element("li", {}, article);
}

/** An answer: its element, and `update` to show what it has now. */
export function answer(message, again) {
  const thoughts = element("p", { className: "words" });
  const thinking = element("details", { className: "file", hidden: true },
    element("summary", { textContent: "Thoughts" }), thoughts);
  const text = element("div", { className: "markdown" });
  const error = element("p", { className: "error", hidden: true });
  const facts = element("span", { className: "quiet" });
  const copy = copyButton("Copy the answer", () => message.content.trim());
  const retry = button("Regenerate", "last", again);
  const foot = element("footer", {}, copy, retry, facts);
  const name = title("Answer", message.model);
  const article = element("article", { className: "answer" }, name, thinking, text, error, foot);
  const node = element("li", {}, article);
  const update = (busy = false) => {
    const words = message.content.trim();
    thinking.hidden = !message.thought;
    thoughts.textContent = message.thought ?? "";
    render(text, words);
    article.ariaBusy = String(busy);
    copy.hidden = busy || words === "";
    retry.textContent = message.error ? "Try again" : "Regenerate";
    error.hidden = !message.error;
    error.textContent = message.error ?? "";
    facts.textContent = describe(message);
  };
  update();
  return { node, update };
}

function title(who, model) {
  const name = model ? [element("span", { className: "quiet", textContent: ` ${model}` })] : [];
  return element("h2", {}, who, ...name);
}

function button(label, kind, work) {
  const made = element("button", { type: "button", className: `small ${kind}`, textContent: label });
  made.addEventListener("click", work);
  return made;
}

/** How an answer was written. */
function describe({ facts = {}, finish, content }) {
  const parts = [];
  if (facts.tokens > 1 && facts.writing > 0) {
    const speed = (facts.tokens - 1) / facts.writing;
    parts.push(`${speed.toFixed(speed < 100 ? 1 : 0)} tokens/s`);
  }
  if (facts.first !== undefined) parts.push(`first token ${seconds(facts.first)}`);
  if (facts.tokens > 0) parts.push(`${count(facts.tokens)} ${facts.tokens === 1 ? "token" : "tokens"}`);
  if (facts.cached > 0) parts.push(`${count(facts.cached)} of ${count(facts.prompt)} from the cache`);
  if (finish === "length") parts.push("cut at the limit");
  if (finish === "stopped") parts.push("stopped");
  if (finish === "stop" && content === "") parts.push("an empty answer");
  return parts.join(" · ");
}
