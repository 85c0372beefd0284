// How answers are asked for.

import { models } from "./api.js";
import { byId, count, element } from "./dom.js";
import * as store from "./store.js";

const NUMBERS = ["temperature", "top_p", "max_tokens", "seed"];
const DEFAULTS = { model: "", system: "", temperature: "0.7", top_p: "0.95", max_tokens: "", seed: "" };

const panel = byId("settings");
const form = byId("settings-form");
const toggle = byId("settings-toggle");
const contexts = new Map();
const wide = matchMedia("(min-width: 60rem)");
let chosen = DEFAULTS;

/** The parameters of a request. */
export function parameters() {
  const request = chosen.model ? { model: chosen.model } : {};
  for (const name of NUMBERS) {
    if (chosen[name] !== "") request[name] = Number(chosen[name]);
  }
  return request;
}

/** What the model is told first. */
export const systemPrompt = () => chosen.system.trim();

/** The model and how much it reads; 0 where that is not known yet. */
export const model = () => ({ name: chosen.model, context: contexts.get(chosen.model) ?? 0 });

/** Whether all fields are good; shows the first that is not. */
export function areGood() {
  if (form.checkValidity()) return true;
  show(true);
  form.reportValidity();
  return false;
}

/** Whether the panel hides the chat, as on phones. */
export const covers = () => !panel.hidden && !wide.matches;

/** Opens or closes the panel. */
export function show(open) {
  panel.hidden = !open;
  toggle.ariaExpanded = String(open);
  for (const id of ["conversation", "composer"]) byId(id).inert = covers();
  if (covers()) byId("settings-close").focus();
}

/** Closes the panel and goes back to where it was opened. */
export function close() {
  show(false);
  toggle.focus();
}

/** Asks the server which models there are, and says whether the first one, which stays, is loaded. */
export async function loadModels() {
  const list = await models();
  const ids = list.map((one) => one.id);
  for (const one of list) contexts.set(one.id, one.max_model_len ?? 0);
  if (!ids.includes(chosen.model)) chosen.model = ids[0] ?? "";
  byId("model").replaceChildren(...ids.map((id) => element("option", { value: id, textContent: id })));
  fill();
  return (list[0]?.max_model_len ?? 0) > 0;
}

/** Shows which model answers, and how much of its context is used. */
export function showModel(used = 0) {
  const { name, context } = model();
  const room = context > 0 ? `${used > 0 ? `${count(used)} of ` : ""}${count(context)} tokens` : "";
  byId("model-line").textContent = [name, room].filter(Boolean).join(" · ");
}

function fill() {
  for (const name of Object.keys(DEFAULTS)) byId(name).value = chosen[name];
  showModel();
}

function keep() {
  for (const name of Object.keys(DEFAULTS)) chosen[name] = byId(name).value;
  store.write("settings", chosen);
}

chosen = { ...DEFAULTS, ...store.read("settings", {}) };
fill();
form.addEventListener("input", keep);
form.addEventListener("submit", (event) => event.preventDefault());
byId("model").addEventListener("change", () => showModel());
toggle.addEventListener("click", () => {
  show(panel.hidden);
  store.write("settings-open", !panel.hidden);
});
byId("settings-close").addEventListener("click", close);
wide.addEventListener("change", () => show(!panel.hidden && wide.matches));
show(wide.matches && store.read("settings-open", true));
byId("settings-reset").addEventListener("click", () => {
  chosen = { ...DEFAULTS, model: chosen.model };
  fill();
  keep();
});
