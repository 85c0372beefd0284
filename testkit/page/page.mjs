// Uses the page as a person would, in a browser: `node page.mjs URL KEYED_URL KEY FOLDER`.
//
// A server answers at URL, another at KEYED_URL which wants KEY; pictures go to FOLDER. Each check
// is a line; the end is 1 when one failed. `cargo xtask page` runs it.

import assert from "node:assert/strict";
import { createRequire } from "node:module";

const puppeteer = createRequire(`${process.env.RUSHLIGHT_TEST_BROWSER}/`)("puppeteer-core");
const [url, keyedUrl, key, folder] = process.argv.slice(2);

const DESKTOP = { width: 1280, height: 800, deviceScaleFactor: 1 };
const PHONE = { width: 390, height: 844, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
const LIST = "List three fruits, each with a short description.";
const STORY = "Tell a very long story about the sea.";
/** For machines that are busy with other things. */
const PATIENCE_MS = 180_000;
/** What a key that is missing or wrong makes the browser say. */
const EXPECTED = /status of 401/;

const browser = await puppeteer.launch({
  executablePath: "/usr/bin/chromium",
  // Chromium has no sandbox of its own for root, as in containers.
  args: process.getuid() === 0 ? ["--no-sandbox"] : [],
});
let failed = 0;
let current = null;

/** A new browser's page, whose complaints are collected. */
async function open(address, viewport, scheme) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  page.complaints = [];
  page.setDefaultTimeout(PATIENCE_MS);
  const complain = (what) => EXPECTED.test(what) || page.complaints.push(what);
  await page.setViewport(viewport);
  await page.emulateMediaFeatures([{ name: "prefers-color-scheme", value: scheme }]);
  page.on("console", (message) => message.type() === "log" || complain(`console: ${message.text()}`));
  page.on("pageerror", (error) => complain(`error: ${error.message}`));
  page.on("dialog", (dialog) => dialog.accept());
  await page.exposeFunction("complainOfPolicy", (what) => complain(`policy: ${what}`));
  await page.evaluateOnNewDocument(() => {
    addEventListener("securitypolicyviolation", (event) =>
      globalThis.complainOfPolicy(`${event.violatedDirective} ${event.blockedURI}`));
  });
  await page.goto(address, { waitUntil: "networkidle2" });
  current = page;
  return page;
}

async function check(name, work) {
  try {
    await work();
    assert.deepEqual(current.complaints, []);
    console.log(`ok: ${name}`);
  } catch (error) {
    failed += 1;
    current.complaints.length = 0;
    console.log(`FAILED: ${name}: ${error.message}`);
    await shot(`failed-${failed}`);
  }
}

const shot = (name) => current.screenshot({ path: `${folder}/${name}.png` });
const text = (selector) => current.$eval(selector, (node) => node.textContent);
const isBusy = () => current.$eval("#log", (log) => log.dataset.busy === "true");
const until = (what, ...values) => current.waitForFunction(what, {}, ...values);
const toBusy = () => until(() => document.querySelector("#log").dataset.busy === "true");
const toIdle = () => until(() => document.querySelector("#log").dataset.busy === "false");
const toWords = () => until(() => document.querySelector("#log > li:last-child .markdown")?.textContent.length > 20);
const answer = () => text("#log > li:last-child .markdown");
const facts = () => text("#log > li:last-child footer");

/** Answers that are the same each time, and end. */
async function choose(tokens) {
  for (const [name, value] of [["temperature", "0"], ["max_tokens", tokens]]) {
    await current.$eval(`#${name}`, (field, to) => {
      field.value = to;
      field.dispatchEvent(new Event("input", { bubbles: true }));
    }, String(value));
  }
}

async function write(words) {
  await current.focus("#message");
  await current.keyboard.type(words);
}

const noOverflow = async () =>
  assert.ok(await current.evaluate(() => document.documentElement.scrollWidth <= innerWidth), "it is wider than the screen");

/** The identifiers of what Tab comes to, and whether each shows that it is there. */
async function tabStops() {
  const stops = [];
  await current.evaluate(() => document.activeElement?.blur());
  for (let count = 0; count < 40; count += 1) {
    await current.keyboard.press("Tab");
    stops.push(await current.evaluate(() => {
      const { activeElement: node, body } = document;
      if (node === body) return { name: "the end", seen: true };
      // The field of the message shows it around its buttons too.
      const { outlineStyle, boxShadow } = getComputedStyle(node.closest(".field") ?? node);
      return { name: node.id || node.textContent.trim(), seen: outlineStyle !== "none" || boxShadow !== "none" };
    }));
  }
  return stops;
}

await open(url, DESKTOP, "light");
await check("the page says which model answers", async () => {
  await until(() => document.querySelector("#model-line").textContent.includes("tokens"));
  await shot("desktop-empty");
});
await check("an answer is streamed and shown as Markdown", async () => {
  await choose(120);
  await write(LIST);
  await current.keyboard.press("Enter");
  await toWords();
  assert.ok(await isBusy(), "the first words came with the last");
  const begin = await answer();
  await shot("desktop-writing");
  await toIdle();
  const end = await answer();
  assert.ok(end.length > begin.length && end.startsWith(begin.slice(0, 10)), `${begin} / ${end}`);
  assert.ok(await current.$("#log .markdown :is(ol, ul, strong)"), `no Markdown in ${end}`);
  assert.match(await facts(), /tokens\/s.*first token.*tokens/);
  await shot("desktop-answer");
});
await check("regenerating gives the answer anew", async () => {
  const before = await answer();
  await current.click("#log > li:last-child footer .last");
  await toBusy();
  await toIdle();
  assert.equal(await answer(), before);
  assert.equal(await current.$$eval("#log > li", (items) => items.length), 2);
});
await check("Escape stops an answer", async () => {
  await choose(2000);
  await write(STORY);
  await current.keyboard.press("Enter");
  await toWords();
  await current.keyboard.press("Escape");
  await toIdle();
  assert.match(await facts(), /stopped/);
  await shot("desktop-stopped");
});
await check("a conversation outlives the page, and can be cleared", async () => {
  await current.reload({ waitUntil: "networkidle2" });
  assert.equal(await current.$$eval("#log > li", (items) => items.length), 4);
  assert.equal(await current.$eval("#max_tokens", (field) => field.value), "2000");
  await current.click("#clear");
  await until(() => document.querySelectorAll("#log > li").length === 0);
});
await check("settings that are wrong are not sent", async () => {
  await choose(0);
  await write(LIST);
  await current.keyboard.press("Enter");
  assert.equal(await current.$$eval("#log > li", (items) => items.length), 0);
  assert.equal(await current.evaluate(() => document.activeElement.id), "max_tokens");
  await current.click("#settings-reset");
});
await check("everything is reached by keyboard, and shows where it is", async () => {
  await choose(24);
  await current.$eval("#message", (field) => (field.value = ""));
  await write(LIST);
  await current.keyboard.press("Enter");
  await toBusy();
  await toIdle();
  const stops = await tabStops();
  const names = stops.map((stop) => stop.name);
  const wanted = ["to-chat", "to-server", "clear", "settings-toggle", "conversation", "message", "attach",
    "send", "temperature", "key-change", "Copy", "Regenerate", "Edit"];
  assert.deepEqual(wanted.filter((name) => !names.some((stop) => stop.startsWith(name))), [], names.join(", "));
  assert.deepEqual(stops.filter((stop) => !stop.seen), []);
});
await check("a keyboard is enough to answer anew and to look at the server", async () => {
  await current.focus("#log > li:last-child footer .last");
  await current.keyboard.press("Enter");
  await toBusy();
  await toIdle();
  await current.focus("#to-server");
  await current.keyboard.press("Enter");
  await until(() => document.querySelector("#server-status").textContent === "ok");
});

await open(url, DESKTOP, "dark");
await check("the dark page is dark", async () => {
  await choose(120);
  await write(LIST);
  await current.click("#send");
  await toBusy();
  await toIdle();
  const shade = await current.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
  assert.ok(Math.max(...shade.slice(0, 3)) < 80, `the background is ${shade}`);
  await shot("desktop-dark");
});
await check("the server's view says how it is", async () => {
  await current.click("#to-server");
  await until(() => document.querySelector("#server-status").textContent === "ok");
  await until(() => /\d/.test(document.querySelector("#pages-text").textContent));
  await shot("desktop-dark-server");
});

await open(url, PHONE, "light");
await check("a phone has room for everything", async () => {
  await choose(120);
  await write(LIST);
  await current.tap("#send");
  await toBusy();
  await toIdle();
  await noOverflow();
  await shot("phone-answer");
});
await check("on a phone the settings cover the chat, and close", async () => {
  await current.tap("#settings-toggle");
  await noOverflow();
  await shot("phone-settings");
  assert.ok(await current.$eval("#composer", (form) => form.inert));
  await current.tap("#settings-close");
  assert.ok(await current.$eval("#settings", (panel) => panel.hidden));
});

await open(url, PHONE, "dark");
await check("on a phone the server's view has room", async () => {
  await current.tap("#to-server");
  await until(() => document.querySelector("#server-status").textContent === "ok");
  await noOverflow();
  await shot("phone-dark-server");
});

await open(keyedUrl, DESKTOP, "light");
await check("a key is asked for, and a wrong one again", async () => {
  await until(() => document.querySelector("#key-dialog").open);
  await shot("desktop-key");
  await current.keyboard.type("wrong");
  await current.keyboard.press("Enter");
  await until(() => document.querySelector("#key-dialog").open && document.querySelector("#key").value === "wrong");
});
await check("with the right one there is an answer, and nothing is kept for good", async () => {
  await current.focus("#key");
  await current.$eval("#key", (field) => (field.value = ""));
  await current.keyboard.type(key);
  await current.keyboard.press("Enter");
  await until(() => document.querySelector("#model-line").textContent.includes("tokens"));
  await choose(24);
  await write(LIST);
  await current.keyboard.press("Enter");
  await toBusy();
  await toIdle();
  assert.match(await facts(), /tokens/);
  const kept = await current.evaluate(() => JSON.stringify(localStorage));
  assert.ok(!kept.includes(key), kept);
});

await browser.close();
process.exit(failed === 0 ? 0 : 1);
