// Durations and times as text: the same words as jobs/presentation/formats.py.
import { fill, gettext, language, ngettext, numberLocale, pgettext } from "./i18n.js";

const MINUTE = 60;
const HOUR = 3600;
const DAY = 86_400;
const JUST_NOW = 3;
const RELATIVE_UP_TO = 7 * DAY;

// In parts, of which the text is composed as on the server: the names of months differ from browser to browser.
const parts = new Intl.DateTimeFormat("en-u-nu-latn", {
  day: "numeric",
  month: "numeric",
  year: "numeric",
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const zone = new Intl.DateTimeFormat(language, { timeZoneName: "short" });
const numbers = new Intl.NumberFormat(numberLocale, { maximumFractionDigits: 20 });
const MONTHS = [
  pgettext("month", "Jan"),
  pgettext("month", "Feb"),
  pgettext("month", "Mar"),
  pgettext("month", "Apr"),
  pgettext("month", "May"),
  pgettext("month", "Jun"),
  pgettext("month", "Jul"),
  pgettext("month", "Aug"),
  pgettext("month", "Sep"),
  pgettext("month", "Oct"),
  pgettext("month", "Nov"),
  pgettext("month", "Dec"),
];

/** The two largest units: `45 s`, `12 m 30 s`, `2 h 15 m`, `3 d 4 h`. @param {number} seconds */
export function duration(seconds) {
  const whole = Math.max(Math.floor(seconds), 0);
  if (whole < MINUTE) {
    return fill(gettext("%(seconds)s s"), { seconds: whole });
  }
  if (whole < HOUR) {
    return fill(gettext("%(minutes)s m %(seconds)s s"), {
      minutes: Math.floor(whole / MINUTE),
      seconds: whole % MINUTE,
    });
  }
  if (whole < DAY) {
    return fill(gettext("%(hours)s h %(minutes)s m"), {
      hours: Math.floor(whole / HOUR),
      minutes: Math.floor((whole % HOUR) / MINUTE),
    });
  }
  return fill(gettext("%(days)s d %(hours)s h"), {
    days: Math.floor(whole / DAY),
    hours: Math.floor((whole % DAY) / HOUR),
  });
}

/** The same without seconds, which an estimate does not know. @param {number} seconds */
export function roughDuration(seconds) {
  const whole = Math.max(Math.floor(seconds), 0);
  if (whole < MINUTE) {
    return gettext("less than 1 m");
  }
  return whole < HOUR ? fill(gettext("%(minutes)s m"), { minutes: Math.floor(whole / MINUTE) }) : duration(whole);
}

/** As one would say it: `about 2 hours left`. @param {number} seconds */
export function spokenTimeLeft(seconds) {
  if (seconds < HOUR) {
    const count = Math.max(Math.round(seconds / MINUTE), 1);
    return fill(ngettext("about %(count)s minute left", "about %(count)s minutes left", count), { count });
  }
  if (seconds < DAY) {
    const count = Math.max(Math.round(seconds / HOUR), 1);
    return fill(ngettext("about %(count)s hour left", "about %(count)s hours left", count), { count });
  }
  const count = Math.max(Math.round(seconds / DAY), 1);
  return fill(ngettext("about %(count)s day left", "about %(count)s days left", count), { count });
}

/** `just now`, `12 s ago` up to `6 d ago`; after that `null`, because a date does not move. @param {number} seconds */
export function relativeTime(seconds) {
  const whole = Math.max(Math.floor(seconds), 0);
  if (whole < JUST_NOW) {
    return gettext("just now");
  }
  if (whole < MINUTE) {
    return fill(gettext("%(count)s s ago"), { count: whole });
  }
  if (whole < HOUR) {
    return fill(gettext("%(count)s min ago"), { count: Math.floor(whole / MINUTE) });
  }
  if (whole < DAY) {
    return fill(gettext("%(count)s h ago"), { count: Math.floor(whole / HOUR) });
  }
  return whole < RELATIVE_UP_TO ? fill(gettext("%(count)s d ago"), { count: Math.floor(whole / DAY) }) : null;
}

/** A time in full, in the reader's own zone, which is named. @param {Date} date */
export function fullTime(date) {
  const { day, month, year, hour, minute, second } = partsOf(date);
  const words = fill(gettext("%(day)s %(month)s %(year)s"), { day, month, year });
  const zoneName = zone.formatToParts(date).find(({ type }) => type === "timeZoneName")?.value ?? "";
  return `${words}, ${hour}:${minute}:${second} ${zoneName}`.trim();
}

/** Short of year, seconds and zone, which are told in full beside it. @param {Date} date */
export function shortTime(date) {
  const { day, month, hour, minute } = partsOf(date);
  return `${fill(gettext("%(day)s %(month)s"), { day, month })}, ${hour}:${minute}`;
}

/** Of today: hours and minutes. @param {Date} date */
export function clockTime(date) {
  const { hour, minute } = partsOf(date);
  return `${hour}:${minute}`;
}

function partsOf(date) {
  const found = Object.fromEntries(parts.formatToParts(date).map(({ type, value }) => [type, value]));
  return { ...found, month: MONTHS[Number(found.month) - 1] };
}

/** In groups, as the language has them: `1,00,000` in Hindi. @param {number} value */
export function number(value) {
  return numbers.format(value);
}

/** @param {number} value */
export function percent(value) {
  return fill(gettext("%(value)s %%"), { value: Math.floor(value) });
}

const SIZE_UNITS = ["KB", "MB", "GB"];

/** `512 bytes`, `1.5 KB`, `100.0 MB`: as the server writes it. @param {number} bytes */
export function fileSize(bytes) {
  if (bytes < 1024) {
    return fill(ngettext("%(count)s byte", "%(count)s bytes", bytes), { count: bytes });
  }
  let value = bytes / 1024;
  let unit = 0;
  while (value >= 1024 && unit < SIZE_UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value.toFixed(1)}\u00a0${SIZE_UNITS[unit]}`;
}
