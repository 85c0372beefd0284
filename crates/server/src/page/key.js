// Asks for the API key.

import { byId } from "./dom.js";
import { readKey, writeKey } from "./store.js";

const dialog = byId("key-dialog");
const field = byId("key");
let asked = null;

/** Asks for a key, once for all who wait for it; gives whether there is a new one. */
export function askForKey(reason) {
  asked ??= new Promise((resolve) => {
    byId("key-reason").textContent = reason;
    field.value = readKey();
    dialog.returnValue = "";
    dialog.showModal();
    field.select();
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "new"), { once: true });
  }).finally(() => (asked = null));
  return asked;
}

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  writeKey(field.value.trim());
  dialog.close("new");
});
byId("key-cancel").addEventListener("click", () => dialog.close());
