// <toast-stack>: short messages. Errors interrupt a screen reader, the rest waits for its turn.
import { on } from "../bus.js";
import { gettext } from "../i18n.js";
import { icon } from "../icon.js";
import { isForeign } from "../retold.js";

const SHOWN_MS = { success: 8000, info: 8000, warning: 15_000, error: 20_000 };
const ICONS = { success: "completed", info: "info", warning: "warning", error: "warning" };
const MOST_TOASTS = 4;

customElements.define(
  "toast-stack",
  class extends HTMLElement {
    #life = new AbortController();

    connectedCallback() {
      this.#life = new AbortController();
      // The regions are there before any message: only changes of a known region are read out.
      this.replaceChildren(region("alert"), region("status"));
      on("toast", (toast) => this.#show(toast), this.#life.signal);
    }

    disconnectedCallback() {
      this.#life.abort();
    }

    #show({ text, tone = "info" }) {
      const target = this.querySelector(tone === "error" ? '[role="alert"]' : '[role="status"]');
      target.append(makeToast(text, tone));
      const toasts = this.querySelectorAll(".toast");
      if (toasts.length > MOST_TOASTS) {
        toasts[0].remove();
      }
    }
  },
);

function region(role) {
  const element = document.createElement("div");
  element.className = "toast-region";
  element.setAttribute("role", role);
  return element;
}

function makeToast(text, tone) {
  const toast = document.createElement("div");
  toast.className = `toast toast-${tone}`;
  const words = document.createElement("span");
  words.className = "toast-text";
  words.textContent = text;
  if (isForeign(text)) {
    words.lang = "en";
  }
  const close = document.createElement("button");
  close.type = "button";
  close.className = "icon-button";
  close.setAttribute("aria-label", gettext("Dismiss"));
  close.append(icon("close"));
  close.addEventListener("click", () => toast.remove());
  toast.append(icon(ICONS[tone]), words, close);
  leaveLater(toast, SHOWN_MS[tone]);
  return toast;
}

/** Whoever points at a toast, or has it focused, is still reading: until neither holds. */
function leaveLater(toast, milliseconds) {
  let timer = 0;
  const reading = new Set();
  const count = () => {
    clearTimeout(timer);
    if (reading.size === 0) {
      timer = setTimeout(() => toast.remove(), milliseconds);
    }
  };
  const hold = (means) => () => {
    reading.add(means);
    count();
  };
  const release = (means) => () => {
    reading.delete(means);
    count();
  };
  toast.addEventListener("pointerenter", hold("pointer"));
  toast.addEventListener("pointerleave", release("pointer"));
  toast.addEventListener("focusin", hold("focus"));
  toast.addEventListener("focusout", release("focus"));
  count();
}
