"""What the forms of the pages may hold. What they mean is for the services to check."""

from decimal import Decimal
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from jobs.models.queue import MAXIMUM_PRIORITY
from jobs.services.training_configs import MAX_DESCRIPTION_CHARACTERS
from jobs.training_config import MAX_NAME_CHARACTERS


class NewJobForm(forms.Form):
    """A job to be submitted."""

    config = forms.CharField(strip=False, required=False)
    datasets = forms.CharField(strip=False, required=False)
    config_name = forms.CharField(max_length=MAX_NAME_CHARACTERS, required=False)
    hardware_profile = forms.CharField(max_length=64, required=False)
    tracker_run_name = forms.CharField(max_length=MAX_NAME_CHARACTERS, required=False)
    webhook_url = forms.CharField(max_length=2000, required=False)
    budget_usd = forms.DecimalField(
        max_digits=14, decimal_places=2, min_value=Decimal("0.01"), required=False, localize=False
    )
    priority = forms.IntegerField(min_value=0, max_value=MAXIMUM_PRIORITY, required=False)
    upload_id = forms.CharField(max_length=64, required=False)
    reuse_archive = forms.BooleanField(required=False)
    idempotency_key = forms.CharField(max_length=255, required=False)
    # What the form was filled in with.
    loaded = forms.CharField(max_length=MAX_NAME_CHARACTERS, required=False)
    source_job = forms.CharField(max_length=128, required=False)


class ConfigForm(forms.Form):
    """A configuration to be kept."""

    name = forms.CharField(max_length=MAX_NAME_CHARACTERS, label=_("Name"))
    description = forms.CharField(max_length=MAX_DESCRIPTION_CHARACTERS, required=False)
    config = forms.CharField(strip=False, required=False)
    datasets = forms.CharField(strip=False, required=False)


def typed(form: forms.Form) -> dict[str, Any]:
    """What was typed, as it was, to be shown again."""
    return {name: form.data.get(name, "") for name in form.fields}


def problems(form: forms.Form) -> dict[str, str]:
    """The first problem of each field."""
    return {str(name): str(messages[0]) for name, messages in form.errors.items()}
