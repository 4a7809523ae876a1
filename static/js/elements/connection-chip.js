// <connection-chip>: says by icon and word how fresh the page can be.
import { emit, on } from "../bus.js";
import { gettext } from "../i18n.js";
import { icon } from "../icon.js";

customElements.define(
  "connection-chip",
  class extends HTMLElement {
    #life = new AbortController();
    #isLimited = false;

    connectedCallback() {
      this.#life = new AbortController();
      on("connection", ({ state }) => this.#show(state), this.#life.signal);
    }

    disconnectedCallback() {
      this.#life.abort();
    }

    #show(state) {
      const { word, shape, hint } = appearance(state);
      const words = document.createElement("span");
      words.className = "chip-word";
      words.textContent = word;
      this.setAttribute("state", state);
      this.title = hint;
      this.replaceChildren(icon(shape), words);
      this.#tellOfLimit(state === "limited");
    }

    /** The reader can do something about this one, so it is not left to a hint. */
    #tellOfLimit(isLimited) {
      if (isLimited === this.#isLimited) {
        return;
      }
      this.#isLimited = isLimited;
      emit("notice", { key: "limited", strip: isLimited ? limitStrip() : null });
    }
  },
);

function limitStrip() {
  const line = document.createElement("p");
  line.className = "strip-content";
  const words = document.createElement("span");
  words.textContent = gettext(
    "Too many open live views from this address. This one looks every 30 s instead; close another one to make it live.",
  );
  line.append(icon("warning"), words);
  const strip = document.createElement("div");
  strip.className = "strip strip-warning";
  strip.append(line);
  return strip;
}

function appearance(state) {
  switch (state) {
    case "live":
      return { word: gettext("Live"), shape: "live", hint: gettext("Changes are shown as they happen.") };
    case "offline":
      return { word: gettext("Offline"), shape: "offline", hint: gettext("This device has no network.") };
    case "polling":
    case "limited":
      return {
        word: gettext("Polling every 30 s"),
        shape: "queued",
        hint: gettext("There is no live connection at the moment; it is tried again by itself."),
      };
    case "connecting":
      return { word: gettext("Connecting…"), shape: "running", hint: "" };
    default:
      return {
        word: gettext("Reconnecting…"),
        shape: "running",
        hint: gettext("The live connection was lost; it is tried again by itself."),
      };
  }
}
