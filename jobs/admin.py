"""The operator's view of the store: Django looks for this module alone, the rest is beside it.

What providers report is shown, never edited; actions and forms call the services that the API and the pages call.
"""

from django.contrib import admin
from django.utils.translation import gettext_lazy as _

from jobs import account_admin, job_admin, operations_admin, provider_admin, submission_admin  # noqa: F401

admin.site.site_header = _("SimpleTuner Cloud")
admin.site.site_title = _("SimpleTuner Cloud")
admin.site.index_title = _("Operation")
