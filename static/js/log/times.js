// The time that a line begins with, in the ways in which trainers, loggers and container hosts write one.

const DATE = "\\d{4}[-/]\\d\\d[-/]\\d\\d|\\d\\d/\\d\\d/\\d{4}";
const CLOCK = "\\d{1,2}:\\d\\d:\\d\\d(?:[.,]\\d{1,9})?";
const ZONE = "\\s?(?:Z|UTC|GMT|[+-]\\d\\d:?\\d\\d)";
const MOMENT = `(?:(?:${DATE})(?:T|\\s))?${CLOCK}(?:${ZONE})?`;
// With what stands between it and the words. A line that is nothing but a time keeps it.
const STAMP = new RegExp(`^(?:\\[${MOMENT}\\]|${MOMENT})(?:\\s*[-|]\\s+|\\s+)(?=\\S)`);
const LONGEST = 64;

/** @param {string} text a line @returns {number} how many characters of it tell the time; 0 if it begins otherwise */
export function timeLength(text) {
  const first = text.charCodeAt(0);
  // Most lines do not: a digit or a bracket is needed.
  if (first !== 91 && (first < 48 || first > 57)) {
    return 0;
  }
  return STAMP.exec(text.length > LONGEST ? text.slice(0, LONGEST) : text)?.[0].length ?? 0;
}
