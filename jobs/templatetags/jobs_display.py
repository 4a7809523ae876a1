"""Small pieces of markup that many templates share."""

import secrets
from functools import lru_cache

from django import template
from django.contrib.auth.models import User
from django.template import Context
from django.template.loader import get_template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import get_language

from jobs.presentation.accounts import role_label
from jobs.presentation.formats import Moment, number
from jobs.presentation.job_rows import JobRow
from jobs.presentation.look import Look
from jobs.presentation.retold import retold, retold_plainly
from jobs.services.accounts import role_of

register = template.Library()

# Some twenty pages of the list.
KEPT_ROWS = 1000
# Stands in kept markup for the token of whoever is shown it. Nobody can write it into the name of a job.
TOKEN_PLACE = secrets.token_hex(16)


@register.filter
def in_groups(value: float | None) -> str:
    """A number as the reader's language groups it; nothing for none. Not for what a machine reads."""
    return "" if value is None else number(value)


register.filter("retold", retold)
register.filter("retold_plainly", retold_plainly)


@register.simple_tag
def icon(name: str, extra_class: str = "") -> SafeString:
    """An icon of the page's sprite; it stands beside words, so it is not read out."""
    css_class = f"icon icon-{name} {extra_class}".strip()
    return format_html('<svg class="{}" aria-hidden="true"><use href="#icon-{}"></use></svg>', css_class, name)


@register.simple_tag(takes_context=True)
def time_ago(context: Context, moment: Moment | None) -> SafeString:
    """A time as the reader wants it: as distance from now that moves by itself, or as date and time.

    In full when pointed at. Nothing for no time.
    """
    if moment is None:
        return SafeString("")
    wanted: Look = context.get("look") or Look()
    return format_html(
        '<relative-time><time datetime="{}" title="{}">{}</time></relative-time>',
        moment.iso,
        moment.absolute,
        moment.short if wanted.times == "absolute" else moment.relative,
    )


@register.simple_tag
def time_in_full(moment: Moment | None) -> SafeString:
    """A time in full. Nothing for no time."""
    if moment is None:
        return SafeString("")
    return format_html('<local-time><time datetime="{}">{}</time></local-time>', moment.iso, moment.absolute)


@register.simple_tag
def running_duration(text: str, since: str) -> SafeString:
    """A duration; one that still grows moves by itself."""
    if not since:
        return format_html("{}", text)
    return format_html('<live-duration since="{}">{}</live-duration>', since, text)


@register.simple_tag
def account_role(user: object) -> str:
    """The role of who looks at the page; nothing for nobody."""
    return role_label(role_of(user)) if isinstance(user, User) else ""


@register.simple_tag(takes_context=True)
def job_row(context: Context, row: JobRow) -> SafeString:
    """A line of the job list."""
    markup = _row_markup(get_language(), context.get("look") or Look(), row)
    return SafeString(markup.replace(TOKEN_PLACE, str(context.get("csrf_token", ""))))


@lru_cache(maxsize=KEPT_ROWS)
def _row_markup(_language: str, look: Look, row: JobRow) -> str:
    """The same for equal rows: every open page fetches its list at every event, and nearly all rows are as before."""
    return get_template("jobs/_job_row.html").render({"row": row, "look": look, "csrf_token": TOKEN_PLACE})
