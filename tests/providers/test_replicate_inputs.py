"""A trainer's configuration as Replicate repeats it: providers.replicate.cleaning."""

import json

from providers.replicate import cleaning

SECRET = "hubsecret-0123456789-wxyz"


def test_configuration_in_a_text_is_kept_whole_with_its_secrets_masked() -> None:
    config = {f"setting_{number}": "x" * 20 for number in range(200)} | {"hub_token": SECRET}
    shown = cleaning.shown_input({"config_json": json.dumps(config), "images": "https://example.com/a.zip"})
    assert shown is not None
    assert json.loads(shown["config_json"]) == config | {"hub_token": "••••wxyz"}


def test_secrets_are_masked_also_where_the_text_is_cut_off() -> None:
    cut = json.dumps({"hub_token": SECRET, "steps": 1})[:-3]
    shown = cleaning.shown_input({"config_json": cut})
    assert shown is not None
    assert SECRET not in shown["config_json"]


def test_text_beyond_all_measure_is_cut() -> None:
    shown = cleaning.shown_input({"config_json": json.dumps({"a": "x" * 50_000})})
    assert shown is not None
    assert len(shown["config_json"]) == cleaning.MAX_JSON_CHARACTERS
