import pytest
from pytest_django import Settings

from providers import names, registry
from providers.base import Provider
from providers.errors import ProviderNotConfigured, UnknownProvider
from providers.replicate.provider import ReplicateProvider


def test_provider_is_built_from_its_settings(settings: Settings) -> None:
    settings.PROVIDERS = {"replicate": {"token": "a-token", "base_url": "http://127.0.0.1:1"}}
    provider = registry.get_provider("replicate")
    assert isinstance(provider, ReplicateProvider)
    assert provider._api.base_url == "http://127.0.0.1:1"


def test_everyone_gets_the_same_provider() -> None:
    assert registry.get_provider("replicate") is registry.get_provider("replicate")


@pytest.mark.parametrize("name", ["", "Replicate", "runpod", "__init__", "x" * 1000])
def test_unknown_name_is_told_with_the_known_ones(name: str) -> None:
    with pytest.raises(UnknownProvider, match="known: replicate") as caught:
        registry.get_provider(name)
    assert len(caught.value.message) < 120


def test_provider_without_settings_is_not_configured(settings: Settings) -> None:
    settings.PROVIDERS = {}
    with pytest.raises(ProviderNotConfigured, match="Replicate is not configured"):
        registry.get_provider("replicate")


def test_provider_configured_later_is_found(settings: Settings) -> None:
    settings.PROVIDERS = {}
    with pytest.raises(ProviderNotConfigured):
        registry.get_provider("replicate")
    settings.PROVIDERS = {"replicate": {"token": "a-token"}}
    assert registry.get_provider("replicate").name == "replicate"


def test_token_that_cannot_be_sent_counts_as_not_configured(settings: Settings) -> None:
    settings.PROVIDERS = {"replicate": {"token": "r8_abc\ndef"}}
    with pytest.raises(ProviderNotConfigured):
        registry.get_provider("replicate")


def test_registry_and_names_agree() -> None:
    assert tuple(registry.provider_names()) == names.PROVIDERS
    assert set(names.LABELS) == set(names.PROVIDERS)
    assert [registry.get_provider(name).label for name in names.PROVIDERS] == list(names.LABELS.values())


@pytest.mark.parametrize(("name", "label"), [("replicate", "Replicate"), ("bygone", "bygone")])
def test_label_of_a_provider_that_is_gone_is_its_name(name: str, label: str) -> None:
    assert registry.get_label(name) == label


def test_provider_can_do_everything_that_is_asked_of_one() -> None:
    verbs = {name for name, value in vars(Provider).items() if callable(value) and not name.startswith("_")}
    assert verbs >= {"account", "cancel", "create", "fetch", "fetch_many", "hardware", "list_recent"}
    assert all(callable(getattr(ReplicateProvider, verb)) for verb in verbs)
