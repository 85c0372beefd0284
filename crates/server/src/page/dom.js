// What all parts of the page do to the document. Text of models and files only ever becomes text
// nodes.

/** The element of the page with this id. */
export const byId = (id) => document.getElementById(id);

/** Makes an element; strings among the children become text. */
export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** Tells those who cannot see the page. */
export function announce(text) {
  byId("status").textContent = text;
}

/** A button that copies the text that `text()` gives. */
export function copyButton(label, text) {
  const button = element("button", { type: "button", className: "small", textContent: "Copy" });
  button.ariaLabel = label;
  button.addEventListener("click", async () => {
    const good = await copy(text());
    button.textContent = good ? "Copied" : "Not copied";
    announce(button.textContent);
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  return button;
}

/** Browsers have a clipboard only for pages that came over HTTPS or from this machine. */
async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const before = document.activeElement;
    const area = element("textarea", { value: text, className: "unseen" });
    document.body.append(area);
    area.select();
    const good = document.execCommand("copy");
    area.remove();
    before?.focus();
    return good;
  }
}

/** Runs `work` at the next frame, once however often it is asked for. */
export function eachFrame(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      work();
    });
  };
}

const whole = new Intl.NumberFormat("en");

/** A whole number as people read it. */
export const count = (number) => (Number.isFinite(number) ? whole.format(Math.round(number)) : "–");

/** Bytes as people read them. */
export const size = (bytes) =>
  bytes < 1024 ? `${bytes} bytes` : `${(bytes / 1024).toFixed(bytes < 10240 ? 1 : 0)} KiB`;

/** Seconds as people read them. */
export const seconds = (value) => (value < 1 ? `${Math.round(value * 1000)} ms` : `${value.toFixed(1)} s`);
