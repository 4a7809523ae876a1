// Terminal colours -> classes (static/css/log.css has them). Whatever else a terminal could be told is left out.

const CONTROL_OR_ESCAPE =
  /\x1b(?:\[([0-?]{0,64})[ -/]{0,8}([@-~])?|\][^\x07\x1b]{0,512}(?:\x07|\x1b\\)|[ -/]?[0-~])|[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;

// The sixteen colours that every terminal has, for telling which is nearest to one that has no name.
const PALETTE = [
  [0, 0, 0], [205, 49, 49], [13, 188, 121], [229, 229, 16], [36, 114, 200], [188, 63, 188], [17, 168, 205], [229, 229, 229],
  [102, 102, 102], [241, 76, 76], [35, 209, 139], [245, 245, 67], [59, 142, 234], [214, 112, 214], [41, 184, 219], [255, 255, 255],
];
const CUBE = [0, 95, 135, 175, 215, 255];

/** How text is drawn. An object is never changed, so lines may share one. */
export const PLAIN = Object.freeze({ fg: -1, bg: -1, marks: "" });

/**
 * @param {string} raw one line
 * @param {{fg: number, bg: number, marks: string}} open how the line before it ended
 * @returns {{runs: {text: string, classes: string}[], open: {fg: number, bg: number, marks: string}}}
 */
export function readAnsi(raw, open) {
  const runs = [];
  let style = open;
  let from = 0;
  const add = (to) => {
    if (to > from) {
      const classes = classesOf(style);
      const last = runs.at(-1);
      if (last && last.classes === classes) {
        last.text += raw.slice(from, to);
      } else {
        runs.push({ text: raw.slice(from, to), classes });
      }
    }
  };
  for (const match of raw.matchAll(CONTROL_OR_ESCAPE)) {
    add(match.index);
    from = match.index + match[0].length;
    if (match[2] === "m") {
      style = restyled(style, match[1]);
    }
  }
  add(raw.length);
  return { runs, open: style };
}

/** @param {string} raw */
export function withoutAnsi(raw) {
  return raw.replace(CONTROL_OR_ESCAPE, "");
}

function restyled(style, parameters) {
  const codes = parameters.split(/[;:]/).map(Number);
  const next = { ...style };
  for (let at = 0; at < codes.length; at += 1) {
    const code = codes[at];
    if (code === 0) {
      Object.assign(next, PLAIN);
    } else if (code >= 1 && code <= 9) {
      next.marks = marked(next.marks, code);
    } else if (code === 22) {
      next.marks = next.marks.replace(/[12]/g, "");
    } else if (code >= 23 && code <= 29) {
      next.marks = next.marks.replaceAll(String(code - 20), "");
    } else if ((code >= 30 && code <= 37) || (code >= 90 && code <= 97)) {
      next.fg = code < 90 ? code - 30 : code - 82;
    } else if ((code >= 40 && code <= 47) || (code >= 100 && code <= 107)) {
      next.bg = code < 100 ? code - 40 : code - 92;
    } else if (code === 39) {
      next.fg = -1;
    } else if (code === 49) {
      next.bg = -1;
    } else if (code === 38 || code === 48) {
      const [colour, taken] = extended(codes, at + 1);
      next[code === 38 ? "fg" : "bg"] = colour;
      at += taken;
    }
  }
  return next;
}

function marked(marks, code) {
  return marks.includes(String(code)) ? marks : [...marks, code].sort().join("");
}

/** `5;n` or `2;r;g;b`: the nearest of the sixteen, and how many codes that took. */
function extended(codes, at) {
  if (codes[at] === 5) {
    const code = codes[at + 1] || 0;
    if (code < 16) {
      return [code, 2];
    }
    const grey = 8 + (code - 232) * 10;
    const cube = code - 16;
    const rgb = code >= 232 ? [grey, grey, grey] : [cube / 36, (cube / 6) % 6, cube % 6].map((step) => CUBE[Math.floor(step)] ?? 0);
    return [nearest(rgb), 2];
  }
  return codes[at] === 2 ? [nearest(codes.slice(at + 1, at + 4)), 4] : [-1, 0];
}

function nearest(rgb) {
  const distances = PALETTE.map((colour) => colour.reduce((sum, part, at) => sum + (part - (rgb[at] || 0)) ** 2, 0));
  return distances.indexOf(Math.min(...distances));
}

function classesOf({ fg, bg, marks }) {
  const names = [...marks].map((code) => `ansi-mark-${code}`);
  if (fg >= 0) {
    names.push(`ansi-fg-${fg}`);
  }
  if (bg >= 0) {
    names.push(`ansi-bg-${bg}`);
  }
  return names.join(" ");
}
