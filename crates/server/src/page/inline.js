// Markdown within a line, as nodes. What is not understood stays text; HTML is always text.

import { element } from "./dom.js";

const MOST_DEPTH = 8;
/** Characters of a link's label or address, at most. */
const MOST_LINK = 2000;
const PUNCTUATION = /[!-/:-@[-`{-~]/;
const WORD = /[\p{L}\p{N}]/u;
const TAGS = { "*": "em", _: "em", "**": "strong", __: "strong", "~~": "del" };

/** Appends `text` to `parent`. */
export function inline(parent, text, depth = 0) {
  const missing = new Set();
  let plain = "";
  let at = 0;
  const flush = () => {
    if (plain) parent.append(plain);
    plain = "";
  };
  while (at < text.length) {
    const found = depth < MOST_DEPTH ? special(text, at, depth, missing) : null;
    if (!found) {
      plain += text[at];
      at += 1;
      continue;
    }
    if (typeof found.made === "string") {
      plain += found.made;
    } else {
      if (found.made.tagName === "BR") plain = plain.trimEnd();
      flush();
      parent.append(found.made);
    }
    at = found.end;
  }
  flush();
}

/** What begins at `at` and is more than a character: what it makes, and where it ends. */
function special(text, at, depth, missing) {
  switch (text[at]) {
    case "\\": {
      const next = text[at + 1] ?? "";
      if (next === "\n") return { made: element("br"), end: at + 2 };
      return PUNCTUATION.test(next) ? { made: next, end: at + 2 } : null;
    }
    case "\n":
      return { made: element("br"), end: at + 1 };
    case "`":
      return codeSpan(text, at, missing);
    case "*":
    case "_":
    case "~":
      return emphasis(text, at, depth, missing);
    case "!":
      return text[at + 1] === "[" ? link(text, at + 1, depth) : null;
    case "[":
      return link(text, at, depth);
    case "<":
    case "h":
      return address(text, at);
    default:
      return null;
  }
}

/** How often the character at `at` stands there in a row. */
function run(text, at) {
  let end = at + 1;
  while (text[end] === text[at]) end += 1;
  return end - at;
}

/** The end of the code that begins with the backticks at `at`, or -1. */
function codeEnd(text, at, missing) {
  const length = run(text, at);
  const mark = `code ${length}`;
  if (missing.has(mark)) return -1;
  for (let end = text.indexOf("`", at + length); end >= 0; ) {
    const found = run(text, end);
    if (found === length) return end;
    end = text.indexOf("`", end + found);
  }
  missing.add(mark);
  return -1;
}

function codeSpan(text, at, missing) {
  const length = run(text, at);
  const end = codeEnd(text, at, missing);
  if (end < 0) return { made: text.slice(at, at + length), end: at + length };
  let code = text.slice(at + length, end).replaceAll("\n", " ");
  if (/^ .*[^ ].* $/.test(code)) code = code.slice(1, -1);
  return { made: element("code", { textContent: code }), end: end + length };
}

function emphasis(text, at, depth, missing) {
  const sign = text[at];
  const length = run(text, at);
  const literal = { made: text.slice(at, at + length), end: at + length };
  const opens = /\S/.test(text[at + length] ?? " ");
  const within = sign === "_" && WORD.test(text[at - 1] ?? " ");
  const sizes = sign === "~" ? [2] : length === 3 ? [3, 1, 2] : [length];
  if (!opens || within || length > 3) return literal;
  for (const size of sizes) {
    if (size > length || (sign === "~" && length !== 2)) continue;
    const close = closing(text, at + length, sign, size, missing);
    if (close < 0) continue;
    const inner = text.slice(at + size, close);
    const outer = element(size === 3 ? "em" : TAGS[sign.repeat(size)]);
    const parent = size === 3 ? outer.appendChild(element("strong")) : outer;
    inline(parent, inner, depth + 1);
    return { made: outer, end: close + size };
  }
  return literal;
}

/** Where the emphasis of `size` signs that is open at `at` closes, or -1. */
function closing(text, at, sign, size, missing) {
  const mark = sign + size;
  if (missing.has(mark)) return -1;
  while (at < text.length) {
    if (text[at] === "\\") {
      at += 2;
    } else if (text[at] === "`") {
      const end = codeEnd(text, at, missing);
      at = end < 0 ? at + run(text, at) : end + run(text, at);
    } else if (text[at] === sign) {
      const length = run(text, at);
      const closes = /\S/.test(text[at - 1] ?? " ") && (length === size || length === 3);
      const within = sign === "_" && WORD.test(text[at + length] ?? " ");
      // Of three signs at an end the inner emphasis has the first ones.
      if (closes && !within) return length === size ? at : at + length - size;
      at += length;
    } else {
      at += 1;
    }
  }
  missing.add(mark);
  return -1;
}

/** `[label](address)`; an image is a link too, since the page loads nothing from elsewhere. */
function link(text, open, depth) {
  const close = matching(text, open, "[", "]");
  if (close < 0 || text[close + 1] !== "(") return null;
  const end = matching(text, close + 1, "(", ")");
  if (end < 0) return null;
  const target = text.slice(close + 2, end).trim().split(/\s/, 1)[0].replace(/^<|>$/g, "");
  const href = safe(target);
  if (!href) return null;
  const made = anchor(href);
  inline(made, text.slice(open + 1, close) || href, Math.max(depth + 1, MOST_DEPTH - 2));
  return { made, end: end + 1 };
}

/** Where the bracket at `at` closes, or -1. */
function matching(text, at, opening, closing) {
  const most = Math.min(text.length, at + MOST_LINK);
  let open = 0;
  for (let end = at; end < most; end += 1) {
    if (text[end] === "\\") end += 1;
    else if (text[end] === opening) open += 1;
    else if (text[end] === closing && (open -= 1) === 0) return end;
  }
  return -1;
}

const ADDRESS = /https?:\/\/[^\s<>"`]+/y;

/** An address that stands in the text, with or without `<` and `>`. */
function address(text, at) {
  const bracketed = text[at] === "<";
  if (!bracketed && WORD.test(text[at - 1] ?? " ")) return null;
  ADDRESS.lastIndex = bracketed ? at + 1 : at;
  let found = ADDRESS.exec(text)?.[0];
  if (!found) return null;
  if (bracketed && text[at + 1 + found.length] !== ">") return null;
  if (!bracketed) found = trimmed(found);
  const href = safe(found);
  if (!href) return null;
  const made = anchor(href);
  made.textContent = found;
  return { made, end: at + found.length + (bracketed ? 2 : 0) };
}

/** Without the punctuation of the sentence around it. */
function trimmed(found) {
  let end = found.length;
  let unopened = found.split(")").length - found.split("(").length;
  while (/[.,:;!?*_~'\])]/.test(found[end - 1] ?? "")) {
    if (found[end - 1] === ")" && (unopened -= 1) < 0) break;
    end -= 1;
  }
  return found.slice(0, end);
}

/** The address as the browser reads it, if it is of a kind that does no harm. */
function safe(target) {
  try {
    const url = new URL(target);
    return ["http:", "https:", "mailto:"].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

function anchor(href) {
  return element("a", { href, title: href, target: "_blank", rel: "noopener noreferrer" });
}
