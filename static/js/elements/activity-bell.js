// <activity-bell src news reader>: what happened since one last looked, and the messages that have gone by.
import { getHTML, getJSON } from "../api.js";
import { on } from "../bus.js";
import { serverNow } from "../clock.js";
import { clockTime, fullTime } from "../format.js";
import { fill, gettext, language, ngettext } from "../i18n.js";
import { icon } from "../icon.js";
import { closeLikeAMenu } from "../menus.js";
import { morphChildren } from "../morph.js";
import { recall, remember } from "../memory.js";
import { isForeign } from "../retold.js";

const MOST_COUNTED = 99;
const MOST_MESSAGES = 20;
const MESSAGES = "messages";
const TONES = { success: "completed", info: "info", warning: "warning", error: "warning" };

customElements.define(
  "activity-bell",
  class extends HTMLElement {
    #life = new AbortController();
    #count = 0;

    connectedCallback() {
      this.#life = new AbortController();
      const { signal } = this.#life;
      const menu = this.querySelector("details");
      closeLikeAMenu(menu);
      menu.addEventListener("toggle", () => menu.open && this.#open(), { signal });
      on("job_status_changed", () => this.#onChange(), signal);
      on("resync", () => this.#ask(), signal);
      on("toast", (toast) => this.#keep(toast), signal);
      // Another tab has looked.
      addEventListener("storage", ({ key }) => key === this.#key && this.#ask(), { signal });
      const shown = document.querySelector("main [data-newest]");
      if (shown instanceof HTMLElement) {
        this.#look(shown);
      } else {
        this.#ask();
      }
      this.#showMessages();
    }

    disconnectedCallback() {
      this.#life.abort();
    }

    get #key() {
      return `activity-seen-${this.getAttribute("reader")}`;
    }

    #onChange() {
      if (this.querySelector("details").open) {
        this.#open();
      } else if (!document.querySelector("main [data-newest]")) {
        this.#show(this.#count + 1);
      }
    }

    async #ask() {
      const seen = recall(localStorage, this.#key);
      try {
        const { count, newest } = await getJSON(`${this.getAttribute("news")}?after=${seen ?? ""}`);
        // The store was reset, or this is the first look: nothing here is news.
        if (seen === null || Number(seen) > newest) {
          remember(localStorage, this.#key, String(newest));
          this.#show(0);
        } else {
          this.#show(count);
        }
      } catch {
        // The connection chip tells of a server that is away.
      }
    }

    async #open() {
      const list = part(this, "list");
      try {
        const html = await getHTML(this.getAttribute("src"));
        morphChildren(list, new DOMParser().parseFromString(html, "text/html").body);
        this.#look(list.querySelector("[data-newest]"));
      } catch (error) {
        list.textContent = error.message;
      }
    }

    /** @param {HTMLElement | null} shown what is in front of the reader now */
    #look(shown) {
      const newest = shown?.dataset.newest;
      if (newest) {
        remember(localStorage, this.#key, newest);
        this.#show(0);
      }
    }

    #show(count) {
      this.#count = count;
      const badge = part(this, "count");
      badge.hidden = count === 0;
      badge.textContent = count > MOST_COUNTED ? `${MOST_COUNTED}+` : String(count);
      part(this, "label").textContent = count
        ? fill(ngettext("Activity, %(count)s new", "Activity, %(count)s new", count), { count: badge.textContent })
        : gettext("Activity");
    }

    #keep({ text, tone = "info" }) {
      const kept = [{ text, tone, lang: isForeign(text) ? "en" : language, at: serverNow() }, ...this.#messages()].slice(0, MOST_MESSAGES);
      remember(sessionStorage, MESSAGES, JSON.stringify(kept));
      this.#showMessages();
    }

    #messages() {
      try {
        const kept = JSON.parse(recall(sessionStorage, MESSAGES) ?? "[]");
        return Array.isArray(kept) ? kept : [];
      } catch {
        return [];
      }
    }

    #showMessages() {
      const lines = this.#messages().map(messageLine);
      part(this, "messages").hidden = lines.length === 0;
      part(this, "message-list").replaceChildren(...lines);
    }
  },
);

function messageLine({ text, tone, lang, at }) {
  const line = document.createElement("li");
  const words = document.createElement("span");
  words.textContent = text;
  // It may have been told before another language was chosen.
  if (lang && lang !== language) {
    words.lang = lang;
  }
  const time = document.createElement("time");
  time.className = "quiet";
  time.dateTime = new Date(at).toISOString();
  time.title = fullTime(new Date(at));
  time.textContent = clockTime(new Date(at));
  line.append(icon(TONES[tone] ?? "info"), words, time);
  return line;
}

function part(root, name) {
  return root.querySelector(`[data-part="${name}"]`);
}
