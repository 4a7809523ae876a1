"""What the API takes and says of a provider's token. The token itself only ever comes in."""

from typing import Any

from rest_framework import serializers

from jobs.token_text import LONGEST_TOKEN, checked_token


class TokenField(serializers.CharField):
    """A token. What is wrong with one is told without repeating it."""

    def __init__(self, **options: Any) -> None:
        super().__init__(write_only=True, style={"input_type": "password"}, **options)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            raise serializers.ValidationError("The token must be a text.")
        try:
            return checked_token(data)
        except ValueError as error:
            raise serializers.ValidationError(f"The token {error}.") from None


class _Check(serializers.Serializer[object]):
    check = serializers.BooleanField(
        required=False, default=True, help_text="Ask the provider first whether it takes the token."
    )


class ProviderTokenChange(_Check):
    """A new token for a provider."""

    api_token = TokenField(help_text=f"At most {LONGEST_TOKEN} characters.")


class ReplicateTokenChange(_Check):
    """The same in the words of SimpleTuner's newest command line."""

    token = TokenField(help_text=f"At most {LONGEST_TOKEN} characters.")


class TokenChanged(serializers.Serializer[object]):
    """What became of it. ``last_four``: the token's end; empty for a short token or none."""

    success = serializers.BooleanField()
    error = serializers.CharField(allow_null=True)
    message = serializers.CharField()
    last_four = serializers.CharField(allow_blank=True)


class TokenNotTaken(TokenChanged):
    """The provider refused the token; what was stored before stays."""

    detail = serializers.CharField()
    code = serializers.CharField()
