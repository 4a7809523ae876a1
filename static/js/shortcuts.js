// Keys that do what a pointer would. They are silent while somebody writes, and can be turned off for good.
import { on } from "./bus.js";
import { gettext } from "./i18n.js";
import { recall, remember } from "./memory.js";

const KEPT = "shortcuts";
const OFF = "off";
// After g the next key names a page.
const SEQUENCE_MS = 1500;
const WRITING = 'input:not([type="checkbox"], [type="radio"], [type="submit"], [type="button"]), textarea, select, [contenteditable]';
const ROW_LINK = '[data-key^="job-"] a[href^="/jobs/"]';

const KEYS = {
  "/": { does: gettext("Search"), run: () => focus('main input[type="search"]') },
  j: { does: gettext("Next job"), run: () => step(1) },
  k: { does: gettext("Previous job"), run: () => step(-1) },
  Enter: { does: gettext("Open the job"), run: () => false },
  l: { does: gettext("Log of the job"), run: openLog },
  s: { does: gettext("Sync"), run: () => press("sync-button button") },
  "g j": { does: gettext("Go to the jobs"), run: () => goTo("/") },
  "g q": { does: gettext("Go to the queue"), run: () => goTo("/queue") },
  "?": { does: gettext("This help"), run: showHelp },
};

let waitsFor = "";
let timer = 0;

/** Listen for keys, and for whoever asks for the help. */
export function startShortcuts() {
  document.addEventListener("keydown", onKey);
  on("shortcuts-help", showHelp);
}

function onKey(event) {
  const isTaken = event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing;
  if (isTaken || recall(localStorage, KEPT) === OFF) {
    return;
  }
  const isWriting = event.target instanceof Element && event.target.closest(WRITING);
  if (isWriting || document.querySelector("dialog[open]")) {
    return;
  }
  const name = waitsFor + event.key;
  clearTimeout(timer);
  waitsFor = "";
  if (name === "g") {
    waitsFor = "g ";
    timer = setTimeout(() => (waitsFor = ""), SEQUENCE_MS);
    return;
  }
  if (Object.hasOwn(KEYS, name) && KEYS[name].run() !== false) {
    event.preventDefault();
  }
}

function focus(selector) {
  const element = document.querySelector(selector);
  if (!(element instanceof HTMLElement) || !element.checkVisibility()) {
    return false;
  }
  element.focus();
  return true;
}

function press(selector) {
  const button = document.querySelector(selector);
  if (!(button instanceof HTMLButtonElement) || button.disabled) {
    return false;
  }
  button.click();
  return true;
}

function goTo(path) {
  location.assign(path);
  return true;
}

/** One link for each row, the first. */
function rowLinks() {
  const rows = new Map();
  for (const link of document.querySelectorAll(ROW_LINK)) {
    const row = link.closest('[data-key^="job-"]');
    if (!rows.has(row)) {
      rows.set(row, link);
    }
  }
  return rows;
}

function currentRow() {
  return document.activeElement?.closest('[data-key^="job-"]') ?? null;
}

function step(by) {
  const rows = rowLinks();
  const links = [...rows.values()];
  if (links.length === 0) {
    return false;
  }
  const at = [...rows.keys()].indexOf(currentRow());
  const next = at < 0 ? (by > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + by, 0), links.length - 1);
  links[next].focus();
  links[next].scrollIntoView({ block: "nearest" });
  return true;
}

function openLog() {
  const link = rowLinks().get(currentRow());
  const tab = document.querySelector('nav.tabs a[href$="/logs"]');
  if (!link && !tab) {
    return false;
  }
  return goTo(tab ? tab.getAttribute("href") : `${link.getAttribute("href").replace(/\/$/, "")}/logs`);
}

function showHelp() {
  const dialog = document.querySelector("dialog.shortcuts") ?? makeHelp();
  if (!dialog.open) {
    dialog.showModal();
  }
  return true;
}

function makeHelp() {
  const dialog = element("dialog", "dialog shortcuts");
  dialog.setAttribute("aria-labelledby", "shortcuts-title");
  const title = element("h2", "dialog-title", gettext("Keyboard shortcuts"));
  title.id = "shortcuts-title";
  const list = element("dl", "shortcut-list");
  for (const [name, { does }] of Object.entries(KEYS)) {
    const key = element("dt");
    key.append(...name.split(" ").map((part) => element("kbd", "", part)));
    const line = element("div");
    line.append(key, element("dd", "", does));
    list.append(line);
  }
  const label = element("label", "shortcut-switch");
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = recall(localStorage, KEPT) !== OFF;
  box.addEventListener("change", () => remember(localStorage, KEPT, box.checked ? "on" : OFF));
  label.append(box, element("span", "", gettext("Shortcuts are on in this browser")));
  const close = element("button", "button", gettext("Close"));
  close.addEventListener("click", () => dialog.close());
  const actions = element("div", "dialog-actions");
  actions.append(close);
  dialog.append(title, list, label, actions);
  document.body.append(dialog);
  return dialog;
}

function element(name, className = "", text = "") {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}
