// Puts the page together: views, keys, and what happens first.

import { askForKey } from "./key.js";
import * as chat from "./chat.js";
import { announce, byId } from "./dom.js";
import { watch } from "./server.js";
import * as settings from "./settings.js";

function showView() {
  const server = location.hash === "#server";
  byId("chat-view").hidden = server;
  byId("chat-tools").hidden = server;
  byId("server-view").hidden = !server;
  byId("to-chat").ariaCurrent = server ? null : "page";
  byId("to-server").ariaCurrent = server ? "page" : null;
  document.title = server ? "Server – rushlight" : "rushlight";
  watch();
}

async function loadModels() {
  try {
    if (!(await settings.loadModels())) setTimeout(loadModels, 2000);
  } catch (error) {
    byId("model-line").textContent = error.message;
    announce(error.message);
    if (error.status !== 401) setTimeout(loadModels, 5000);
  }
}

addEventListener("hashchange", showView);
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape" || byId("key-dialog").open) return;
  if (chat.isRunning()) chat.stop();
  else if (settings.covers()) settings.close();
});
byId("clear").addEventListener("click", () => {
  if (byId("log").childElementCount === 0 || confirm("Clear this conversation?")) chat.clear();
});
for (const id of ["key-change", "server-key"]) {
  byId(id).addEventListener("click", async () => {
    if (!(await askForKey("It is sent with each request; an empty one is forgotten."))) return;
    watch();
    loadModels();
  });
}

showView();
loadModels();
if (matchMedia("(hover: hover)").matches && location.hash !== "#server") byId("message").focus();
