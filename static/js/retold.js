// What the server's answers say in English, in the language of the page: jobs/presentation/retold.py, for what scripts
// get to hear. The sentences are the same as there.
import { fill, gettext, gettext_noop, language } from "./i18n.js";

const SENTENCES = [
  gettext_noop("%(label)s has not answered since %(time)s. Next try: %(next)s. The last trouble: %(reason)s"),
  gettext_noop("The calls that %(label)s allows are used up for now. Next try in %(seconds)s s."),
  gettext_noop("%(label)s asks us to slow down. Next try at %(time)s."),
  gettext_noop("%(reason)s It is not asked any more until the token is changed or checked; by itself at %(time)s."),
  gettext_noop("%(reason)s Nothing was changed. Check the token."),
  gettext_noop("%(label)s refused the token: %(reason)s."),
  gettext_noop("%(label)s refused the token (HTTP %(status)s)."),
  gettext_noop("%(label)s does not know this: %(reason)s."),
  gettext_noop("%(label)s does not know this (HTTP %(status)s)."),
  gettext_noop("%(label)s asks us to slow down: %(reason)s."),
  gettext_noop("%(label)s asks us to slow down (HTTP %(status)s)."),
  gettext_noop("%(label)s refused the request: %(reason)s."),
  gettext_noop("%(label)s refused the request (HTTP %(status)s)."),
  gettext_noop("%(label)s ran out of time (HTTP %(status)s)."),
  gettext_noop("%(label)s has trouble of its own (HTTP %(status)s)."),
  gettext_noop("%(label)s answered with an unexpected HTTP %(status)s."),
  gettext_noop("%(label)s answered something that is not JSON."),
  gettext_noop("%(label)s did not answer in time."),
  gettext_noop("%(label)s did not finish its answer in time."),
  gettext_noop("%(label)s cannot be reached (%(kind)s)."),
  gettext_noop("%(label)s is not configured: no API token is set."),
  gettext_noop("The job has already ended (%(status)s)."),
  gettext_noop("The job runs on its own machine, and can be ended only there."),
  gettext_noop("No provider knows this job, so there is nothing to cancel there."),
  gettext_noop("There is no job '%(job_id)s' here."),
  gettext_noop("You may view this job, not change it."),
  gettext_noop("No import of the history is running."),
  gettext_noop("A dataset archive may have %(size)s MiB at most."),
  gettext_noop("This is no zip or tar archive, by its first bytes."),
  gettext_noop("There is not enough room on the server's disk for this archive. Nothing was kept."),
  gettext_noop("The database does not answer just now. Nothing was changed; try again."),
  gettext_noop("Something went wrong here; it was written to the log."),
  gettext_noop("You do not have permission to perform this action."),
];
const STATUSES = {
  pending: gettext("Pending"),
  uploading: gettext("Uploading"),
  queued: gettext("Queued"),
  running: gettext("Running"),
  completed: gettext("Completed"),
  failed: gettext("Failed"),
  cancelled: gettext("Cancelled"),
};
const PLACEHOLDER = /%\((\w+)\)s/g;
const DEEPEST = 3;
const isEnglish = language.startsWith("en");

/** @type {{sentence: string, pattern: RegExp}[] | null} */
let known = null;

/** The sentence in the language of the page if it is one of ours; else as it is. @param {string} text */
export function retold(text) {
  return isEnglish ? text : (translated(text, DEEPEST) ?? text);
}

/** Whether a text is English on a page that is not, and has to be marked for who has it read out. @param {string} text */
export function isForeign(text) {
  return !isEnglish && !/[\u0900-\u097f]/.test(text);
}

function translated(text, depth) {
  known ??= SENTENCES.map((sentence) => ({ sentence, pattern: patternOf(sentence) }));
  for (const { sentence, pattern } of known) {
    const found = pattern.exec(text);
    if (found) {
      const values = Object.entries(found.groups ?? {}).map(([name, value]) => [name, valueOf(name, value, depth)]);
      return fill(gettext(sentence), Object.fromEntries(values));
    }
  }
  return null;
}

function valueOf(name, value, depth) {
  if (name === "status" && Object.hasOwn(STATUSES, value)) {
    return STATUSES[value];
  }
  return (depth && value.includes(" ") ? translated(value, depth - 1) : null) ?? value;
}

function patternOf(sentence) {
  const pieces = sentence.split(PLACEHOLDER);
  const made = pieces.map((piece, at) => (at % 2 ? `(?<${piece}>.+?)` : piece.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")));
  return new RegExp(`^${made.join("")}$`, "s");
}
