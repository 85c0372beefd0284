// The state of the server, asked for while somebody looks.

import { call } from "./api.js";
import { byId, count, element, seconds } from "./dom.js";

const EVERY_MS = 2000;
const MOST_SAMPLES = 60;
/** Stands for the timer while the server is asked. */
const ASKING = -1;
/** What says nothing when it is old. */
const LIVE = ["running", "queued", "speed", "passes"];
const NAMES = { ok: "good", degraded: "fair", loading: "fair" };

const view = byId("server-view");
const speeds = [];
let before = null;
let timer = 0;

/** Begins to ask while the view is seen, and ends when it is not. */
export function watch() {
  clearTimeout(timer);
  timer = 0;
  if (view.hidden || document.hidden) {
    before = null;
    return;
  }
  timer = ASKING;
  poll().finally(() => {
    if (timer === ASKING) timer = setTimeout(watch, EVERY_MS);
  });
}

async function poll() {
  try {
    const options = { asks: false, good: (response) => response.ok || response.status === 503 };
    const [health, metrics] = await Promise.all([call("health", options), call("metrics", { asks: false })]);
    const [state, text] = [await health.json(), await metrics.text()];
    tell("");
    byId("server-key-line").hidden = true;
    showState(state);
    showCounts(state, samples(text));
  } catch (error) {
    before = null;
    for (const name of LIVE) fact(name, "");
    tell(error.message);
    byId("server-key-line").hidden = error.status !== 401;
    badge(error.status === 401 ? "needs a key" : "unreachable", "bad");
  }
}

function tell(text) {
  const place = byId("server-error");
  if (place.textContent !== text) place.textContent = text;
  place.hidden = text === "";
}

function badge(text, kind) {
  const place = byId("server-status");
  place.textContent = text;
  place.className = `badge ${kind}`;
}

function fact(name, text) {
  view.querySelector(`[data-fact="${name}"]`).textContent = text;
}

function showState(state) {
  badge(state.status, NAMES[state.status] ?? "bad");
  fact("failure", state.failure ?? "");
  fact("model", state.model);
  fact("backend", [state.backend, state.kernels].filter(Boolean).join(", "));
  fact("threads", state.threads ?? "–");
  fact("weights", state.weights ?? "–");
  fact("context", state.context ? `${count(state.context)} tokens` : "–");
  fact("uptime", duration(state.uptime_seconds));
  fact("version", state.version);
  fact("running", count(state.running));
  fact("queued", count(state.queued));
  const { pages, pages_used: used, pages_cached: cached } = state.cache;
  byId("pages").max = Math.max(1, pages);
  byId("pages").value = used;
  fact("pages", `${count(used)} of ${count(pages)} pages used, ${count(cached)} of them with earlier texts`);
  const list = byId("degradations");
  const lines = state.degradations.map(({ what, reason }) =>
    element("li", {}, element("strong", { textContent: `${what}:` }), ` ${reason}`));
  list.hidden = lines.length === 0;
  list.replaceChildren(...lines);
}

function showCounts(state, now) {
  const written = now.get("generation_tokens_total");
  const passes = now.get("engine_passes_total");
  const time = performance.now();
  // Counters that went back are those of a new process.
  if (before && before.written <= written && before.passes <= passes) {
    const passed = (time - before.time) / 1000;
    const speed = (written - before.written) / passed;
    speeds.push(speed);
    speeds.splice(0, speeds.length - MOST_SAMPLES);
    fact("speed", `${speed.toFixed(1)} tokens/s`);
    fact("passes", `${((passes - before.passes) / passed).toFixed(1)} per s`);
    draw();
  }
  before = { written, passes, time };
  const prompt = now.get("prompt_tokens_total");
  const cached = now.get("prompt_tokens_cached_total");
  const firsts = now.get("time_to_first_token_seconds_count");
  fact("answers", count(now.get("request_finished_total") ?? 0));
  fact("written", count(written));
  fact("read", count(prompt));
  fact("hits", prompt > 0 ? `${count(cached)} (${Math.round((cached / prompt) * 100)} %)` : "–");
  fact("first", firsts > 0 ? seconds(now.get("time_to_first_token_seconds_sum") / firsts) : "–");
  fact("preemptions", count(now.get("num_preemptions_total")));
}

/** The sums of samples of Prometheus' text format, without their prefix and labels. */
function samples(text) {
  const sums = new Map();
  for (const line of text.split("\n")) {
    const parts = /^rushlight_(\w+)(?:\{.*\})? (\S+)$/.exec(line);
    if (parts) sums.set(parts[1], (sums.get(parts[1]) ?? 0) + Number(parts[2]));
  }
  return sums;
}

function draw() {
  const peak = Math.max(...speeds);
  const at = (speed, index) => {
    const x = ((MOST_SAMPLES - speeds.length + index) / (MOST_SAMPLES - 1)) * 300;
    return `${x.toFixed(1)},${(58 - (speed / Math.max(peak, 1)) * 56).toFixed(1)}`;
  };
  byId("history").firstElementChild.setAttribute("points", speeds.map(at).join(" "));
  fact("peak", `; ${peak.toFixed(1)} at most`);
}

function duration(total) {
  const [days, hours, minutes] = [total / 86400, (total / 3600) % 24, (total / 60) % 60].map(Math.floor);
  if (days > 0) return `${days} d ${hours} h`;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${total % 60} s` : `${total} s`;
}

document.addEventListener("visibilitychange", watch);
