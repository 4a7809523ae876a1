"""API keys and the audit log in JSON."""

from rest_framework import serializers

from jobs.access import PERMISSIONS
from jobs.models import AuditOutcome
from jobs.services.api_keys import LONGEST_DAYS, LONGEST_NAME

MOST_ENTRIES = 500


class NewKeyRequest(serializers.Serializer[object]):
    """What to make. ``scopes``: none means all that the account may do."""

    name = serializers.CharField(max_length=LONGEST_NAME)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=list(PERMISSIONS)), default=list, max_length=len(PERMISSIONS)
    )
    days = serializers.IntegerField(
        min_value=1, max_value=LONGEST_DAYS, allow_null=True, default=None, help_text="Good for so long; null: no end."
    )


class Key(serializers.Serializer[object]):
    """A key, without its text."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    prefix = serializers.CharField()
    account = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)


class KeyList(serializers.Serializer[object]):
    """Keys that have not been revoked, newest first."""

    keys = Key(many=True)


class NewKey(Key):
    """A key that was just made; ``key`` is told this once."""

    key = serializers.CharField()


class KeyListQuery(serializers.Serializer[object]):
    """Whose keys."""

    everybody = serializers.BooleanField(default=False, help_text="Everybody's, for who manages accounts.")


class AuditQuery(serializers.Serializer[object]):
    """Which part of the log; it is read backwards."""

    limit = serializers.IntegerField(min_value=1, max_value=MOST_ENTRIES, default=100)
    before = serializers.IntegerField(
        min_value=1, max_value=2**63 - 1, required=False, help_text="Only entries with a smaller id."
    )


class AuditRow(serializers.Serializer[object]):
    """Who did what."""

    id = serializers.IntegerField()
    at = serializers.DateTimeField()
    actor = serializers.CharField()
    via = serializers.CharField()
    address = serializers.CharField()
    action = serializers.CharField()
    target = serializers.CharField()
    outcome = serializers.ChoiceField(choices=AuditOutcome.values)
    details = serializers.DictField()


class AuditLog(serializers.Serializer[object]):
    """Entries, newest first. ``next_before``: where to go on; null at the end."""

    entries = AuditRow(many=True)
    next_before = serializers.IntegerField(allow_null=True)
