// What the browser keeps. A browser may refuse: then the page forgets.

const PREFIX = "rushlight.";

/** What was kept under a name, or `none`. */
export function read(name, none) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name)) ?? none;
  } catch {
    return none;
  }
}

/** Keeps a value; tells whether there was room. */
export function write(name, value) {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

/** The API key of this tab. */
export function readKey() {
  try {
    return sessionStorage.getItem(PREFIX + "key") ?? "";
  } catch {
    return "";
  }
}

/** Keeps the API key until the tab is closed; an empty one is forgotten. */
export function writeKey(key) {
  try {
    if (key) sessionStorage.setItem(PREFIX + "key", key);
    else sessionStorage.removeItem(PREFIX + "key");
  } catch {
    // The server asks again.
  }
}
