// <log-view src overview>: the log of a job, as text and nothing else. `overview` is the id of the fragment that knows
// the job's status; what is new of the log is asked for every 5 s until its end has been read.
import { getJSON } from "../api.js";
import { emit, on } from "../bus.js";
import { number } from "../format.js";
import { fill, gettext, ngettext } from "../i18n.js";
import { hashOf, linesOf } from "../log/address.js";
import { keysAreOn, listenForKeys, turnKeys } from "../log/keys.js";
import { LEVELS } from "../log/levels.js";
import { LogView } from "../log/view.js";
import { retold } from "../retold.js";
import { copyText } from "./copy-button.js";

const ASK_EVERY_MS = 5000;
const RUNS_OR_HAS_RUN = ["running", "completed", "failed", "cancelled"];
const TYPING_PAUSE_MS = 120;

customElements.define(
  "log-view",
  class extends HTMLElement {
    #life = new AbortController();
    /** @type {LogView} */
    #view;
    #bookmark = "0";
    #timer = 0;
    #typing = 0;
    #status = "";
    #hasLoaded = false;
    #isFinal = false;
    #source = "";

    connectedCallback() {
      this.#life = new AbortController();
      const { signal } = this.#life;
      const scroller = this.#part("text");
      this.#view = new LogView(scroller);
      this.#view.onChange = () => this.#tellAll();
      this.#view.start(signal);
      this.#bookmark = "0";
      this.#hasLoaded = false;
      scroller.setAttribute("aria-busy", "true");
      this.#status = this.#currentStatus();
      on("refreshed", () => this.#onRefreshed(), signal);
      on("retry", () => this.#load(), signal);
      document.addEventListener("visibilitychange", () => !document.hidden && this.#load(), { signal });
      addEventListener("hashchange", () => this.#view.choose(linesOf(location.hash), true), { signal });
      scroller.addEventListener("click", (event) => this.#onClicked(event), { signal });
      const press = {
        wrap: () => this.#toggleWrap(),
        copy: () => copyText(this.#selected() || this.#view.text),
        latest: () => this.#jumpToLatest(),
        follow: () => this.#view.toggleFollow(),
        next: () => this.#view.step(1),
        previous: () => this.#view.step(-1),
        times: () => this.#view.hasTimes && this.#view.showTimes(!this.#view.showsTimes),
        fold: () => this.#view.hasGroups && this.#view.toggleFolds(),
      };
      for (const [name, action] of Object.entries(press)) {
        this.#part(name).addEventListener("click", action, { signal });
      }
      for (const chip of this.#chips()) {
        chip.addEventListener("click", () => this.#toggleLevel(chip), { signal });
      }
      const search = this.#part("search");
      search.addEventListener("input", () => this.#onTyped(search.value), { signal });
      search.addEventListener("keydown", (event) => this.#onSearchKey(event), { signal });
      const keys = this.#part("keys");
      keys.checked = keysAreOn();
      keys.addEventListener("change", () => turnKeys(keys.checked), { signal });
      listenForKeys(
        this,
        {
          "/": () => search.select(),
          n: press.next,
          N: press.previous,
          f: press.follow,
          w: press.wrap,
          t: press.times,
          e: press.fold,
          d: () => this.#part("download").click(),
          l: () => this.#linkTo({ from: this.#view.lineLookedAt, to: this.#view.lineLookedAt }),
          End: press.latest,
        },
        signal,
      );
      this.#load();
    }

    disconnectedCallback() {
      this.#life.abort();
      clearTimeout(this.#timer);
      clearTimeout(this.#typing);
    }

    #part(name) {
      return this.querySelector(`[data-part="${name}"]`);
    }

    #chips() {
      return this.querySelectorAll("[data-level]");
    }

    #currentStatus() {
      const overview = document.getElementById(this.getAttribute("overview"));
      return overview?.querySelector("[data-job-status]")?.dataset.jobStatus ?? "";
    }

    #onRefreshed() {
      const status = this.#currentStatus();
      if (status !== this.#status) {
        // The last lines of a job often come with its end.
        this.#status = status;
        this.#load();
      }
    }

    async #load() {
      clearTimeout(this.#timer);
      const { signal } = this.#life;
      if (document.hidden) {
        return;
      }
      const asked = this.#bookmark;
      try {
        const answer = await getJSON(`${this.getAttribute("src")}?after=${asked}`, { signal });
        // Of two answers to the same question the second would come twice.
        if (!signal.aborted && asked === this.#bookmark) {
          this.#take(answer);
          emit("refresh-done", { source: this });
        }
      } catch (error) {
        if (!signal.aborted) {
          emit("refresh-failed", { source: this, error });
        }
      }
      clearTimeout(this.#timer);
      this.#part("text").removeAttribute("aria-busy");
      if (!signal.aborted && !this.#isFinal && RUNS_OR_HAS_RUN.includes(this.#status)) {
        this.#timer = setTimeout(() => this.#load(), ASK_EVERY_MS);
      }
    }

    #take({ logs, continues, bookmark, source, is_final: isFinal, problem, logs_state: state }) {
      this.#bookmark = bookmark;
      this.#source = source;
      this.#isFinal = isFinal;
      this.#tellState(state);
      this.#tell("problem", problem ? `${retold(problem)} ${gettext("This is the copy saved here.")}` : "");
      this.#tell("empty", isFinal ? gettext("There is no log.") : gettext("The log is empty so far."));
      this.#view.take(logs, continues);
      if (!this.#hasLoaded) {
        this.#hasLoaded = true;
        this.#view.choose(linesOf(location.hash), true);
      }
    }

    /** The badge is the server's to draw; it is asked for when what it says has changed. */
    #tellState(state) {
      const badge = this.querySelector("[data-logs-state]");
      if (badge && badge.dataset.logsState !== state) {
        emit("log-state", {});
      }
    }

    #tellAll() {
      const view = this.#view;
      this.#part("empty").hidden = view.lineCount > 0 || !this.#hasLoaded;
      this.#part("follow").setAttribute("aria-pressed", String(view.isFollowing));
      this.#offer("times", view.hasTimes, view.showsTimes, view.hasTimes ? gettext("Times") : gettext("No times"));
      this.#offer("fold", view.hasGroups, view.isFolded, view.hasGroups ? gettext("Fold") : gettext("No groups"));
      const latest = this.#part("latest");
      latest.hidden = view.isFollowing || view.lineCount === 0;
      const words = { count: number(view.unseen) };
      latest.querySelector("span").textContent = view.unseen
        ? fill(gettext("Jump to latest (%(count)s new)"), words)
        : gettext("Jump to latest");
      for (const [level, chip] of [...this.#chips()].entries()) {
        chip.setAttribute("aria-pressed", String(!view.isHidden(level)));
        chip.querySelector(".chip-count").textContent = number(view.levelCounts[level]);
      }
      this.#tell("count", this.#matches());
      this.#part("next").disabled = view.matchCount === 0;
      this.#part("previous").disabled = view.matchCount === 0;
      this.#tell("standing", this.#standing());
    }

    /** A switch for something that not every log has. */
    #offer(name, isThere, isOn, words) {
      const button = this.#part(name);
      button.disabled = !isThere;
      button.setAttribute("aria-pressed", String(isOn));
      const label = button.querySelector("span");
      if (label.textContent !== words) {
        label.textContent = words;
      }
    }

    #tell(name, words) {
      const part = this.#part(name);
      if (part.textContent !== words) {
        part.textContent = words;
      }
    }

    #matches() {
      const { hasWords, matchCount, currentMatch } = this.#view;
      if (!hasWords) {
        return "";
      }
      if (matchCount === 0) {
        return gettext("no match");
      }
      const count = number(matchCount);
      return currentMatch < 0
        ? fill(ngettext("%(count)s match", "%(count)s matches", matchCount), { count })
        : fill(gettext("%(number)s of %(count)s"), { number: number(currentMatch + 1), count });
    }

    #standing() {
      const { lineCount, shownCount, chosen } = this.#view;
      const parts = [];
      if (this.#source === "provider" && this.#status === "running" && !this.#isFinal) {
        parts.push(gettext("Read every 5 s"));
      }
      const count = number(lineCount);
      if (shownCount < lineCount) {
        parts.push(fill(gettext("%(shown)s of %(count)s lines"), { shown: number(shownCount), count }));
      } else if (lineCount > 0) {
        parts.push(fill(ngettext("%(count)s line", "%(count)s lines", lineCount), { count }));
      }
      if (chosen) {
        parts.push(
          chosen.from > lineCount
            ? fill(gettext("there is no line %(number)s"), { number: chosen.from })
            : fill(gettext("chosen: %(lines)s"), { lines: hashOf(chosen).slice(1) }),
        );
      }
      return parts.join(" · ");
    }

    #onTyped(words) {
      clearTimeout(this.#typing);
      this.#typing = setTimeout(() => this.#view.setWords(words), TYPING_PAUSE_MS);
    }

    #onSearchKey(event) {
      if (event.key === "Enter") {
        event.preventDefault();
        this.#view.step(event.shiftKey ? -1 : 1);
      } else if (event.key === "Escape") {
        event.preventDefault();
        event.target.value = "";
        clearTimeout(this.#typing);
        this.#view.setWords("");
        this.#part("text").focus({ preventScroll: true });
      }
    }

    #toggleLevel(chip) {
      const level = LEVELS.indexOf(chip.dataset.level);
      const hidden = new Set(
        [...LEVELS.keys()].filter((one) => this.#view.isHidden(one) !== (one === level)),
      );
      this.#view.hideLevels(hidden);
    }

    #toggleWrap() {
      const isWrapped = this.#part("text").classList.toggle("is-wrapped");
      this.#part("wrap").setAttribute("aria-pressed", String(isWrapped));
      this.#view.setWrapped(isWrapped);
    }

    #jumpToLatest() {
      this.#view.jumpToLatest();
      this.#part("text").focus({ preventScroll: true });
    }

    #onClicked(event) {
      const fold = event.target.closest(".log-fold");
      if (fold) {
        this.#view.toggleFold(Number(fold.dataset.first));
        return;
      }
      const link = event.target.closest(".log-number");
      if (!link || event.ctrlKey || event.metaKey) {
        return;
      }
      event.preventDefault();
      const line = Number(link.dataset.number);
      const { chosen } = this.#view;
      if (event.shiftKey && chosen) {
        this.#linkTo({ from: Math.min(chosen.from, line), to: Math.max(chosen.to, line) });
      } else if (chosen && chosen.from === line && chosen.to === line) {
        this.#linkTo(null);
      } else {
        this.#linkTo({ from: line, to: line });
      }
    }

    /** Put lines into the address, from where they can be copied. */
    #linkTo(lines) {
      history.replaceState(null, "", lines ? hashOf(lines) : location.pathname + location.search);
      this.#view.choose(lines);
    }

    /** What the reader has selected of the log. */
    #selected() {
      const selection = getSelection();
      const isHere = selection && !selection.isCollapsed && this.#part("text").contains(selection.anchorNode);
      return isHere ? selection.toString() : "";
    }
  },
);
