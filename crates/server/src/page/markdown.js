// Markdown as nodes, block by block. While an answer is written only its last blocks change, so the
// others keep their nodes, and with them what a reader has selected.

import { copyButton, element } from "./dom.js";
import { inline } from "./inline.js";

const MOST_DEPTH = 10;
const FENCE = /^( {0,3})(`{3,}|~{3,})([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]|$)/;
const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const QUOTE = /^ {0,3}> ?/;
const MARKER = /^( *)([-*+]|\d{1,9}[.)])(?:[ \t]+|$)/;
const UNDERLINE = /^ {0,3}(=+|-+)[ \t]*$/;
const DELIMITERS = /^\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?$/;
const TABS = /^\t+(?=(?:[-*+]|\d{1,9}[.)])\s)/;

const shown = new WeakMap();

/** Shows `text` in `parent`, which has nothing else. */
export function render(parent, text) {
  const before = shown.get(parent) ?? [];
  const lines = text.replaceAll("\r\n", "\n").split("\n");
  const now = blocks(lines.map((line) => line.replace(TABS, (tabs) => "    ".repeat(tabs.length))));
  let same = 0;
  const equal = (a, b) => a && b && a.kind === b.kind && a.lines.join("\n") === b.lines.join("\n");
  while (equal(before[same], now[same])) same += 1;
  while (parent.childNodes.length > same) parent.lastChild.remove();
  for (const block of now.slice(same)) parent.append(build(block, 0));
  shown.set(parent, now);
}

/** Splits lines into blocks. */
function blocks(lines) {
  const found = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    let end = at + 1;
    let kind = "paragraph";
    if (line.trim() === "") {
      at = end;
      continue;
    } else if (FENCE.test(line)) {
      kind = "code";
      end = fenceEnd(lines, at);
    } else if (HEADING.test(line)) {
      kind = "heading";
    } else if (RULE.test(line)) {
      kind = "rule";
    } else if (QUOTE.test(line)) {
      kind = "quote";
      while (end < lines.length && QUOTE.test(lines[end])) end += 1;
    } else if (MARKER.test(line)) {
      kind = "list";
      end = listEnd(lines, at);
    } else if (isTable(lines, at)) {
      kind = "table";
      end = at + 2;
      while (end < lines.length && lines[end].includes("|")) end += 1;
    } else {
      while (end < lines.length && continues(lines, end)) end += 1;
      if (UNDERLINE.test(lines[end] ?? "")) {
        kind = "title";
        end += 1;
      }
    }
    found.push({ kind, lines: lines.slice(at, end) });
    at = end;
  }
  return found;
}

/** Whether a line goes on with the paragraph before it. */
function continues(lines, at) {
  const line = lines[at];
  return line.trim() !== "" && !UNDERLINE.test(line) && !begins(line) && !isTable(lines, at);
}

/** Whether a line begins a block that ends a paragraph. */
function begins(line) {
  return [FENCE, HEADING, RULE, QUOTE, MARKER].some((kind) => kind.test(line));
}

/** After the end of the fence that begins at `at`; one that is not closed goes to the end. */
function fenceEnd(lines, at) {
  const mark = FENCE.exec(lines[at])[2];
  for (let end = at + 1; end < lines.length; end += 1) {
    const line = lines[end].trim();
    if (line.startsWith(mark) && line === mark[0].repeat(line.length)) return end + 1;
  }
  return lines.length;
}

const indent = (line) => line.length - line.trimStart().length;
const ordered = (marker) => marker.length > 1;

/** After the end of the list that begins at `at`. */
function listEnd(lines, at) {
  const [, base, first] = MARKER.exec(lines[at]);
  let blank = false;
  let end = at + 1;
  while (end < lines.length) {
    const line = lines[end];
    const within = indent(line) >= base.length + 2;
    const marker = MARKER.exec(line)?.[2];
    if (line.trim() === "") {
      blank = true;
      end += 1;
      continue;
    }
    if (!within) {
      const same = marker && !RULE.test(line) && ordered(marker) === ordered(first);
      if (!same && (blank || marker || begins(line))) break;
    }
    blank = false;
    end = within && FENCE.test(line.trimStart()) ? fenceIn(lines, end) : end + 1;
  }
  while (lines[end - 1].trim() === "") end -= 1;
  return end;
}

/** After the end of a fence within a list. */
function fenceIn(lines, at) {
  return at + fenceEnd(lines.slice(at).map((line) => line.trimStart()), 0);
}

function isTable(lines, at) {
  const next = lines[at + 1];
  return lines[at].includes("|") && next !== undefined && next.includes("-") && DELIMITERS.test(next.trim())
    && cells(lines[at]).length === cells(next).length;
}

/** The node of a block. */
function build({ kind, lines }, depth) {
  switch (depth < MOST_DEPTH ? kind : "paragraph") {
    case "code":
      return code(lines);
    case "heading": {
      const level = HEADING.exec(lines[0])[1].length;
      return heading(level, lines[0].trim().slice(level).trim().replace(/(^|\s)#+$/, ""));
    }
    case "title":
      return heading(lines.at(-1).includes("=") ? 1 : 2, lines.slice(0, -1).join("\n").trim());
    case "rule":
      return element("hr");
    case "quote":
      return inside(element("blockquote"), lines.map((line) => line.replace(QUOTE, "")), depth);
    case "list":
      return list(lines, depth);
    case "table":
      return table(lines);
    default: {
      const made = element("p");
      inline(made, lines.map((line) => line.trimStart()).join("\n"));
      return made;
    }
  }
}

function inside(parent, lines, depth) {
  for (const block of blocks(lines)) parent.append(build(block, depth + 1));
  return parent;
}

/** Answers stand below a heading of the second level. */
function heading(level, text) {
  const made = element(`h${Math.min(6, level + 2)}`);
  inline(made, text);
  return made;
}

function code(lines) {
  const [, space, mark, info] = FENCE.exec(lines[0]);
  const last = lines.at(-1).trim();
  const closed = lines.length > 1 && last.startsWith(mark) && last === mark[0].repeat(last.length);
  const strip = new RegExp(`^ {0,${space.length}}`);
  const text = lines.slice(1, closed ? -1 : undefined).map((line) => line.replace(strip, "")).join("\n");
  const language = info.trim().split(/\s/, 1)[0];
  const body = element("pre", { tabIndex: 0 }, element("code", { textContent: text }));
  body.role = "region";
  body.ariaLabel = language ? `Code in ${language}` : "Code";
  const title = element("span", { textContent: language || "text" });
  const head = element("div", { className: "code-head" }, title, copyButton("Copy the code", () => text));
  return element("div", { className: "code" }, head, body);
}

function list(lines, depth) {
  const [, base, first] = MARKER.exec(lines[0]);
  const made = element(ordered(first) ? "ol" : "ul");
  if (ordered(first)) made.start = Number.parseInt(first, 10);
  let item = [];
  let width = 0;
  let loose = false;
  const finish = () => {
    const node = inside(element("li"), item, depth);
    // A single paragraph is the item's text.
    for (const child of [...node.children]) {
      if (!loose && child.tagName === "P") child.replaceWith(...child.childNodes);
    }
    made.append(node);
  };
  for (let at = 0; at < lines.length; at += 1) {
    const line = lines[at];
    const marker = MARKER.exec(line);
    if (marker && marker[1].length < base.length + 2) {
      if (at > 0) finish();
      width = marker[0].length;
      loose = false;
      item = [line.slice(width)];
      continue;
    }
    if (line.trim() !== "" && lines[at - 1].trim() === "" && !MARKER.test(line)) loose = true;
    const end = FENCE.test(line.trimStart()) ? fenceIn(lines, at) : at + 1;
    for (; at < end; at += 1) item.push(lines[at].slice(Math.min(width, indent(lines[at]))));
    at -= 1;
  }
  finish();
  return made;
}

function table(lines) {
  const sides = cells(lines[1]).map((cell) => {
    const [left, right] = [cell.startsWith(":"), cell.endsWith(":")];
    return left && right ? "center" : right ? "right" : "";
  });
  const row = (line, name) => {
    const texts = cells(line);
    const made = element("tr");
    sides.forEach((side, at) => {
      const cell = made.appendChild(element(name, { className: side }));
      inline(cell, texts[at] ?? "");
    });
    return made;
  };
  const head = element("thead", {}, row(lines[0], "th"));
  const body = element("tbody", {}, ...lines.slice(2).map((line) => row(line, "td")));
  const scroll = element("div", { className: "table", tabIndex: 0 }, element("table", {}, head, body));
  scroll.role = "region";
  scroll.ariaLabel = "Table";
  return scroll;
}

/** The cells of a line; `\|` and code do not separate. */
function cells(line) {
  const text = line.trim().replace(/^\|/, "");
  const found = [""];
  let ticks = false;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at] === "\\" && text[at + 1] === "|") {
      found[found.length - 1] += "|";
      at += 1;
      continue;
    }
    if (text[at] === "`") ticks = !ticks && text.includes("`", at + 1);
    if (text[at] === "|" && !ticks) found.push("");
    else found[found.length - 1] += text[at];
  }
  if (found.length > 1 && found.at(-1).trim() === "") found.pop();
  return found.map((cell) => cell.trim());
}
