// One line of a log as an element. What the log says becomes text, never markup.
import { fill, gettext, ngettext } from "../i18n.js";
import { LEVELS } from "./levels.js";

// A browser draws a line of a megabyte for seconds; copy and download have all of it.
export const MOST_CHARACTERS = 8000;

/**
 * @param {{number: number, runs: {text: string, classes: string}[], skipped: number, level: number,
 *   fold: {first: number, size: number, isFolded: boolean} | null, isChosen: boolean, isCurrent: boolean,
 *   pattern: RegExp | null}} line `number` counts from 1; `skipped` characters at its beginning are not shown
 */
export function lineElement({ number, runs, skipped, level, fold, isChosen, isCurrent, pattern }) {
  const line = span("log-line");
  line.dataset.line = String(number);
  line.classList.add(`is-${LEVELS[level]}`);
  line.classList.toggle("is-chosen", isChosen);
  line.classList.toggle("is-current", isCurrent);
  const link = document.createElement("a");
  link.className = "log-number";
  link.href = `#L${number}`;
  // Drawn by the style sheet, so that a selection that is copied holds the log alone.
  link.dataset.number = String(number);
  link.tabIndex = -1;
  link.setAttribute("aria-label", fill(gettext("Line %(number)s"), { number }));
  const text = span("log-text");
  // Whatever the page's language, a log is as its trainer wrote it.
  text.lang = "en";
  text.translate = false;
  const { shown, left } = cut(skipped ? withoutStart(runs, skipped) : runs);
  for (const piece of pattern ? marked(shown, pattern) : shown) {
    text.append(piece.isMatch ? mark(piece) : run(piece));
  }
  if (left > 0) {
    const more = span("log-more");
    more.dataset.words = fill(gettext("… %(count)s more characters"), { count: left });
    text.append(more);
  }
  line.append(link, ...(fold ? [foldElement(fold)] : []), text);
  return line;
}

/** Its sign is drawn by the style sheet, as the number is. */
function foldElement({ first, size, isFolded }) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "log-fold";
  button.tabIndex = -1;
  button.dataset.first = String(first);
  button.setAttribute("aria-expanded", String(!isFolded));
  button.title = fill(ngettext("Group of %(count)s line", "Group of %(count)s lines", size), { count: size });
  return button;
}

function withoutStart(runs, characters) {
  let left = characters;
  const kept = [];
  for (const { text, classes } of runs) {
    if (text.length > left) {
      kept.push({ text: text.slice(left), classes });
    }
    left = Math.max(left - text.length, 0);
  }
  return kept;
}

function run({ text, classes }) {
  return classes ? span(classes, text) : document.createTextNode(text);
}

function mark({ text, classes }) {
  const made = document.createElement("mark");
  made.className = classes;
  made.textContent = text;
  return made;
}

function span(classes, text = "") {
  const made = document.createElement("span");
  made.className = classes;
  made.textContent = text;
  return made;
}

function cut(runs) {
  let room = MOST_CHARACTERS;
  const shown = [];
  let left = 0;
  for (const { text, classes } of runs) {
    if (text.length <= room) {
      shown.push({ text, classes });
    } else {
      shown.push({ text: text.slice(0, room), classes });
      left += text.length - room;
    }
    room = Math.max(room - text.length, 0);
  }
  return { shown, left };
}

/** The runs, taken apart where a match begins or ends: a match may reach from one colour into the next. */
function marked(runs, pattern) {
  const whole = runs.map(({ text }) => text).join("");
  const pieces = [];
  const matches = [...whole.matchAll(pattern)].map((match) => [match.index, match.index + match[0].length]);
  let place = 0;
  let next = 0;
  for (const { text, classes } of runs) {
    const end = place + text.length;
    while (place < end) {
      while (next < matches.length && matches[next][1] <= place) {
        next += 1;
      }
      const [from, to] = matches[next] ?? [Infinity, Infinity];
      const isMatch = from <= place;
      const until = Math.min(isMatch ? to : from, end);
      pieces.push({ text: whole.slice(place, until), classes, isMatch });
      place = until;
    }
  }
  return pieces;
}
