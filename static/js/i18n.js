// Translation through Django's catalog, which a classic script loads before; without it the English stays.

/** @param {string} text */
export function gettext(text) {
  return globalThis.gettext?.(text) ?? text;
}

/**
 * @param {string} singular
 * @param {string} plural
 * @param {number} count
 */
export function ngettext(singular, plural, count) {
  return globalThis.ngettext?.(singular, plural, count) ?? (count === 1 ? singular : plural);
}

/**
 * Put values into `%(name)s`; `%%` is a per cent sign.
 * @param {string} text
 * @param {Record<string, string | number>} values
 */
export function fill(text, values) {
  return text.replace(/%\((\w+)\)s|%%/g, (match, name) => (match === "%%" ? "%" : String(values[name] ?? "")));
}

/** For texts that are translated only when they are used. @param {string} text */
export function gettext_noop(text) {
  return text;
}

/** Words that are the same in English but not elsewhere. @param {string} context @param {string} text */
export function pgettext(context, text) {
  return globalThis.pgettext?.(context, text) ?? text;
}

/** The language of the page. */
export const language = document.documentElement.lang || "en";

/** How its numbers are written: in Latin digits, and in lakhs and crores where those are used. */
export const numberLocale = language === "hi" ? "hi-IN-u-nu-latn" : "en";
