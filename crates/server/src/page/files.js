// Text files that go with a message.

import { byId, element, size } from "./dom.js";

const MOST_BYTES = 256 * 1024;
const MOST_FILES = 8;

const list = byId("attached");
const error = byId("attach-error");
let attached = [];

/** Takes the files that are attached; none are afterwards. */
export function take() {
  const taken = attached;
  set([]);
  return taken;
}

/** Attaches what a message had. */
export function set(files) {
  attached = files;
  say([]);
  list.hidden = attached.length === 0;
  list.replaceChildren(...attached.map(chip));
}

/** The text of a message with its files. */
export function withFiles({ content, files = [] }) {
  const block = ({ name, text }) => {
    const fence = "`".repeat(Math.max(3, longestRun(text) + 1));
    return `\`${name}\`:\n${fence}\n${text.replace(/\n$/, "")}\n${fence}`;
  };
  return [content, ...files.map(block)].filter(Boolean).join("\n\n");
}

function longestRun(text) {
  return (text.match(/`+/g) ?? []).reduce((most, run) => Math.max(most, run.length), 0);
}

function chip(file) {
  const remove = element("button", { type: "button", className: "small", textContent: "Remove" });
  remove.ariaLabel = `Remove ${file.name}`;
  remove.addEventListener("click", () => {
    set(attached.filter((other) => other !== file));
    byId("message").focus();
  });
  const bytes = element("span", { className: "quiet", textContent: size(file.bytes) });
  return element("li", {}, element("span", { className: "name", textContent: file.name }), bytes, remove);
}

/** Reads files and attaches those that are texts of a fair size. */
async function attach(files) {
  const wrong = [];
  const read = [...attached];
  for (const file of files) {
    const problem = read.length < MOST_FILES ? await readInto(file, read) : `is one more than ${MOST_FILES} files`;
    if (problem) wrong.push(`${file.name} ${problem}.`);
  }
  set(read);
  say(wrong);
}

async function readInto(file, read) {
  if (file.size > MOST_BYTES) return `has more than ${size(MOST_BYTES)}`;
  try {
    const bytes = await file.arrayBuffer();
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    if (text.includes("\0")) return "is no text";
    read.push({ name: file.name.replaceAll("`", "'"), bytes: file.size, text });
    return null;
  } catch (problem) {
    return problem instanceof TypeError ? "is no text in UTF-8" : "cannot be read";
  }
}

/** Shows what is wrong, above the message. */
export function say(wrong) {
  error.hidden = wrong.length === 0;
  error.textContent = wrong.join(" ");
}

const picker = byId("files");
byId("attach").addEventListener("click", () => picker.click());
picker.addEventListener("change", async () => {
  await attach([...picker.files]);
  picker.value = "";
  byId("message").focus();
});

const view = byId("chat-view");
const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
view.addEventListener("dragover", (event) => {
  if (hasFiles(event)) event.preventDefault();
});
view.addEventListener("drop", (event) => {
  if (!hasFiles(event)) return;
  event.preventDefault();
  attach([...event.dataTransfer.files]);
});
