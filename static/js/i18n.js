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

/** The language of the page, for numbers and dates. */
export const language = document.documentElement.lang || "en";
