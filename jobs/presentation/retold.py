"""Sentences that services and providers say, in the reader's language.

They are written in English, once: in answers of the API, where every word is a contract, in the log, and in rows, which
readers of all languages share. A page knows them by their pattern. What it does not know, such as a provider's own
words, stays English and is marked so, for who has pages read to them. ``static/js/retold.js`` does the same for answers
that a script gets.
"""

import re
from functools import cache

from django.conf import settings
from django.utils.html import format_html
from django.utils.translation import get_language, gettext, gettext_noop

# The longer of two that fit comes first. A value may be a sentence itself.
SENTENCES = (
    # of providers
    gettext_noop("%(label)s has not answered since %(time)s. Next try: %(next)s. The last trouble: %(reason)s"),
    gettext_noop("The calls that %(label)s allows are used up for now. Next try in %(seconds)s s."),
    gettext_noop("%(label)s asks us to slow down. Next try at %(time)s."),
    gettext_noop("%(reason)s It is not asked any more until the token is changed or checked; by itself at %(time)s."),
    gettext_noop("%(reason)s It is not known whether the job was started. It is being looked for."),
    gettext_noop("It is not known whether the job was started. It could not be looked for: %(reason)s"),
    gettext_noop("It is not known whether the job was started. It is being looked for."),
    gettext_noop(
        "It may be at %(label)s: the data of a job of that time (%(job_id)s) are deleted there already, so it cannot be"
        " told. Look there, and send it again if it is not."
    ),
    gettext_noop("%(reason)s The cancellation is noted and will be asked for again."),
    gettext_noop("%(reason)s Nothing was changed. Check the token."),
    gettext_noop("%(label)s did not answer when it was asked to start the job, and has not got it."),
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
    gettext_noop("%(label)s sent more than %(size)s MiB."),
    gettext_noop("%(label)s is not configured: no API token is set."),
    gettext_noop("%(label)s has no trainer %(model)s, or does not let us use it."),
    gettext_noop("%(label)s takes files of up to %(limit)s MiB; this has %(size)s."),
    gettext_noop("%(label)s's API token holds characters that no token has."),
    gettext_noop("%(label)s does not know this job yet."),
    gettext_noop(
        "%(label)s knows none of the %(count)s jobs that it was asked for, nor any other that is known here: is it the"
        " right account, and the right address? Everything was kept as it was."
    ),
    gettext_noop("What %(label)s says of the job %(job_id)s cannot be stored (%(kind)s)."),
    gettext_noop("Replicate has no job of such an id."),
    gettext_noop("Replicate sent a job without a usable id."),
    gettext_noop("Replicate sent a list without results."),
    gettext_noop("Ended by Replicate before it started (aborted)."),
    gettext_noop("The trainer has no version at Replicate that could be run."),
    gettext_noop("The database does not answer just now. Nothing was changed; try again."),
    gettext_noop("Something went wrong here; it was written to the log."),
    gettext_noop("You do not have permission to perform this action."),
    gettext_noop("The lists could not be read in time."),
    gettext_noop("The file was not sent in time."),
    gettext_noop("Its provider answers too slowly just now."),
    gettext_noop("The host of its webhook URL is not found just now."),
    gettext_noop("The call to start it was held up for too long here."),
    # of services about a job
    gettext_noop("The job has already ended (%(status)s)."),
    gettext_noop("Only jobs that have ended can be deleted; this one is %(status)s."),
    gettext_noop("Only failed or cancelled jobs can be retried; this one is %(status)s."),
    gettext_noop("The job runs on its own machine, and can be ended only there."),
    gettext_noop("The job runs on its own machine, and costs nothing."),
    gettext_noop("No provider knows this job, so there is nothing to cancel there."),
    gettext_noop("The job does not wait in the queue any more."),
    gettext_noop("It is not in question whether this job was started."),
    gettext_noop("The job belongs to somebody else already."),
    gettext_noop("The job has an owner here."),
    gettext_noop("There is no account to claim the job for."),
    gettext_noop("A job that has yet to be handed to its provider needs this upload."),
    gettext_noop("There is no user '%(name)s' here."),
    gettext_noop("The cancellation is noted and will be asked for again."),
    gettext_noop("There is no job '%(job_id)s' here."),
    gettext_noop("You may view this job, not change it."),
    gettext_noop("No import of the history is running."),
    gettext_noop(
        "This job was not submitted here, and its provider tells no configuration of it that could be used again."
    ),
    gettext_noop("This job was not submitted here, and what its provider tells of it cannot be read: %(reason)s"),
    gettext_noop("it is incomplete, or no JSON."),
    gettext_noop(
        "Its configuration holds secrets that are not known here. Clone the job, and write them into the new one."
    ),
    gettext_noop("Its dataset archive is not kept any more. Clone the job, and upload the archive for the new one."),
    # of services about what somebody gave
    gettext_noop("A budget is an amount of US dollars greater than 0."),
    gettext_noop("The job has already cost $%(cost)s. To end it, cancel it."),
    gettext_noop("A priority is a number from 0 to %(most)s."),
    gettext_noop("Only who may change the limits of the queue sets a priority."),
    gettext_noop("You may see the limits, not change them."),
    gettext_noop("An amount of US dollars greater than 0 is needed."),
    gettext_noop("An amount has whole cents."),
    gettext_noop("A limit that is on needs an amount."),
    gettext_noop(
        "The cost limit of $%(limit)s for %(label)s is reached: $%(spent)s spent today."
        " No job is submitted until the limit is raised or the period ends."
    ),
    gettext_noop(
        "The cost limit of $%(limit)s for %(label)s is reached: $%(spent)s spent this week."
        " No job is submitted until the limit is raised or the period ends."
    ),
    gettext_noop(
        "The cost limit of $%(limit)s for %(label)s is reached: $%(spent)s spent this month."
        " No job is submitted until the limit is raised or the period ends."
    ),
    gettext_noop("The cost limit of $%(limit)s for %(label)s is reached: $%(spent)s spent today."),
    gettext_noop("The cost limit of $%(limit)s for %(label)s is reached: $%(spent)s spent this week."),
    gettext_noop("The cost limit of $%(limit)s for %(label)s is reached: $%(spent)s spent this month."),
    gettext_noop("You have %(used)s of %(limit)s jobs running; this one waits."),
    gettext_noop("Your team has %(used)s of %(limit)s jobs running; this one waits."),
    gettext_noop("%(used)s of %(limit)s jobs are running in all; this one waits."),
    gettext_noop("A dataset archive may have %(size)s MiB at most."),
    gettext_noop("This is no zip or tar archive, by its first bytes."),
    gettext_noop("There is not enough room on the server's disk for this archive. Nothing was kept."),
    gettext_noop("There is no upload '%(upload_id)s' of yours here."),
    gettext_noop("This upload is not kept here any more. Upload it anew."),
    gettext_noop("This upload has just been deleted. Upload it anew."),
    gettext_noop("Letters, digits, blanks, and . _ - only, up to 128; the first a letter or digit."),
    gettext_noop("A secret in it is masked (••••). Write it out, or leave it out."),
    gettext_noop("There is a configuration of this name already."),
    gettext_noop("There is no configuration named '%(name)s' here."),
    gettext_noop("The configuration '%(name)s' belongs to somebody else."),
    gettext_noop("Give either a configuration or the name of one to load."),
    gettext_noop("This must be a JSON object."),
    gettext_noop("This must be a list of datasets."),
    gettext_noop("Dataset %(number)s must be a JSON object."),
    gettext_noop("This stands inside the configuration too, and differs there."),
    gettext_noop("This is larger than %(size)s KiB."),
    gettext_noop("This file is larger than %(size)s KiB."),
    gettext_noop("This is nested deeper than %(count)s levels."),
    gettext_noop("Line %(line)s, column %(column)s: %(reason)s."),
    gettext_noop("“%(name)s” stands in it twice."),
    gettext_noop("Expecting value"),
    gettext_noop("Expecting property name enclosed in double quotes"),
    gettext_noop("Expecting ',' delimiter"),
    gettext_noop("Expecting ':' delimiter"),
    gettext_noop("Extra data"),
    gettext_noop("Unterminated string starting at"),
    gettext_noop("Invalid control character at"),
    gettext_noop("Illegal trailing comma before end of object"),
    gettext_noop("Illegal trailing comma before end of array"),
    gettext_noop("The URL %(reason)s."),
    gettext_noop("must not be empty"),
    gettext_noop("holds characters that no token has"),
    gettext_noop("is longer than any token (%(count)s characters)"),
    gettext_noop("must be an https URL (or http on a loopback address)"),
    gettext_noop("must not have a fragment, the part behind a #"),
    gettext_noop("must write an address in its usual form"),
    gettext_noop("cannot be used: the name of its host is not known"),
    gettext_noop("leads to an address that is not public, and in no network of SIMPLETUNER_PRIVATE_NETWORKS_ALLOWED"),
    # of accounts and keys
    gettext_noop("A key cannot make keys: log in with your password to make one."),
    gettext_noop("You do not have the permission '%(name)s' yourself."),
    gettext_noop("There are %(count)s keys of this account already: revoke some first."),
    gettext_noop("No key could be made just now; try again."),
    # of the policy of polling
    gettext_noop("%(policy)s; last cycle %(seconds)s s ago"),
    gettext_noop("%(policy)s; the first cycle is still to come"),
    gettext_noop("%(policy)s; jobs not heard of for %(seconds)s s are asked for all the same"),
    gettext_noop("%(policy)s; jobs not heard of are never reconciled"),
    gettext_noop("job status polling is on, every %(seconds)s s: %(reason)s"),
    gettext_noop("job status polling is off: %(reason)s"),
    gettext_noop("the enterprise file enables it"),
    gettext_noop("the enterprise file disables it"),
    gettext_noop("a webhook URL is configured"),
    gettext_noop("no webhook URL is configured"),
)
# Words of the API within a sentence.
STATUS_LABELS = {
    "pending": gettext_noop("Pending"),
    "uploading": gettext_noop("Uploading"),
    "queued": gettext_noop("Queued"),
    "running": gettext_noop("Running"),
    "completed": gettext_noop("Completed"),
    "failed": gettext_noop("Failed"),
    "cancelled": gettext_noop("Cancelled"),
}
PLACEHOLDER = re.compile(r"%\((\w+)\)s")
BREAK = re.compile(r"[।:.] ")
LATIN = re.compile(r"[A-Za-z]{2}")
# A sentence within a sentence within one is more than any of ours is.
DEEPEST = 3


def retold(sentence: object) -> str:
    """The sentence in the reader's language, if it is one of ours; else as it is, marked as English."""
    text = str(sentence)
    if _is_english():
        return text
    whole = _translated(text, DEEPEST)
    if whole is not None:
        return whole
    beginning, end = _taken_apart(text)
    translated = _translated(end, DEEPEST)
    told = in_english(end) if translated is None else translated
    return format_html("{}{}", beginning, told) if beginning else told


def in_english(text: str) -> str:
    """A text that is English whatever the page is, so that it is read out as English."""
    is_foreign = not _is_english() and _is_latin(text) and LATIN.search(text)
    return format_html('<span lang="en">{}</span>', text) if is_foreign else text


def retold_plainly(sentence: object) -> str:
    """As ``retold``, for places that hold no markup."""
    text = str(sentence)
    if _is_english():
        return text
    beginning, end = _taken_apart(text)
    return _translated(text, DEEPEST) or beginning + (_translated(end, DEEPEST) or end)


def _taken_apart(text: str) -> tuple[str, str]:
    """A text that somebody has translated around a sentence that is English still: where that begins."""
    if _is_latin(text):
        return "", text
    for found in BREAK.finditer(text):
        if _is_latin(text[found.end() :]) and LATIN.search(text, found.end()):
            return text[: found.end()], text[found.end() :]
    return text, ""


def _translated(text: str, depth: int) -> str | None:
    """``None`` for a text that is none of the sentences."""
    for sentence, pattern in _patterns():
        found = pattern.fullmatch(text)
        if found:
            values = {name: _value(name, value, depth) for name, value in found.groupdict().items()}
            return gettext(sentence) % values if values else gettext(sentence)
    return None


def _value(name: str, value: str, depth: int) -> str:
    if name == "status" and value in STATUS_LABELS:
        return gettext(STATUS_LABELS[value])
    return (_translated(value, depth - 1) if depth and " " in value else None) or value


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    return tuple((sentence, _pattern(sentence)) for sentence in SENTENCES)


def _pattern(sentence: str) -> re.Pattern[str]:
    pieces = PLACEHOLDER.split(sentence)
    made = "".join(f"(?P<{piece}>.+?)" if at % 2 else re.escape(piece) for at, piece in enumerate(pieces))
    return re.compile(made, re.DOTALL)


def _is_english() -> bool:
    return (get_language() or settings.LANGUAGE_CODE).startswith("en")


def _is_latin(text: str) -> bool:
    """Whether nobody has translated it yet, on the way to us."""
    return not any("\u0900" <= character <= "\u097f" for character in text)
