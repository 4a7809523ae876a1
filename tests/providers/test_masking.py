"""Secrets in configurations: providers.masking."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.masking import MASK, has_mask, masked, unmasked

SECRET = "hubsecret-0123456789-wxyz"


@pytest.mark.parametrize(
    "name",
    [
        "hf_token",
        "--hub_token",
        "WANDB_API_KEY",
        "api-key",
        "aws_secret_access_key",
        "password",
        "db_passwd",
        "credentials",
        "Authorization",
        "private_key",
        "webhook_url",
        "webhook_config",
    ],
)
def test_what_stands_under_such_a_name_is_shown_by_its_end_alone(name: str) -> None:
    assert masked({name: SECRET}) == {name: f"{MASK}wxyz"}
    assert masked({name: "short"}) == {name: MASK}
    assert masked({name: {"inner": [SECRET]}}) == {name: {"inner": [f"{MASK}wxyz"]}}
    assert masked(SECRET, name) == f"{MASK}wxyz"


@pytest.mark.parametrize(
    "config",
    [
        {"max_train_steps": 1500, "learning_rate": 1e-4, "flag": True, "nothing": None},
        {"tokenizer_max_length": 77, "text": "a photo of a secret garden with a token of love"},
        {"url": "https://example.com/a?step=3", "path": "/data/sets", "list": ["a", 1]},
        {"as_text": '{"b": [1,  2]}', "half": '{"b": [1,', "empty_token": "", "no_token": None, "is_secret": False},
        {"prompt": "close-up, token: red"},
    ],
)
def test_what_is_no_secret_stays_as_it_is(config: dict[str, Any]) -> None:
    assert masked(config) == config


@pytest.mark.parametrize(
    "text",
    [
        f"--hub_token {SECRET} --steps 4",
        f"--hub_token={SECRET}",
        f"WANDB_API_KEY={SECRET}",
        f"WANDB_API_KEY='{SECRET}'",
        f"https://me:{SECRET}@git.example.com/repository",
        f"https://example.com/?a=1&access_token={SECRET}&b=2",
        json.dumps({"hf_token": SECRET}),
        json.dumps([{"a": json.dumps({"hf_token": SECRET})}]),
        json.dumps({"hf_token": SECRET, "b": 1})[:-4],
        "hf_" + "a" * 30 + "wxyz",
        "r8_" + "B" * 30,
    ],
)
def test_secrets_inside_a_text_are_found(text: str) -> None:
    shown = masked({"note": text})["note"]
    for secret in (SECRET, "hf_" + "a" * 30, "r8_" + "B" * 30):
        assert secret not in shown
    assert MASK in shown
    assert unmasked({"note": shown}, {"note": text}) == {"note": text}


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["hf_token", "password", "a", "note"]) | st.text(max_size=5), inner)
    ),
    max_leaves=12,
)


@given(JSON_VALUES)
def test_masked_copy_that_comes_back_unchanged_is_the_thing_itself(value: Any) -> None:
    assert unmasked(masked(value), value) == value
    assert masked(masked(value)) == masked(value) or has_mask(masked(value))


def test_what_was_changed_in_a_masked_copy_is_changed_and_nothing_else() -> None:
    stored = {"hf_token": SECRET, "steps": 1, "sets": [{"api_key": SECRET}, {"api_key": "other-secret-0000"}]}
    shown = masked(stored)
    shown["steps"] = 2
    shown["sets"] = [*shown["sets"], {"api_key": "new"}]
    assert unmasked(shown, stored) == stored | {"steps": 2, "sets": [*stored["sets"], {"api_key": "new"}]}  # type: ignore[misc]
    assert unmasked(shown | {"hf_token": "replaced"}, stored)["hf_token"] == "replaced"


def test_mask_at_another_place_brings_no_secret_there() -> None:
    stored = {"hf_token": SECRET}
    moved = unmasked({"note": f"{MASK}wxyz", "hf_token": f"{MASK}wxyz"}, stored)
    assert moved == {"note": f"{MASK}wxyz", "hf_token": SECRET}
    assert has_mask(moved)
    assert not has_mask(stored)


@pytest.mark.parametrize(
    "text",
    [
        "x" * 1_000_000,
        "a." * 500_000,
        "token " * 170_000,
        "--token" * 140_000,
        "token=" * 170_000,
        '"a"' * 330_000,
        '"' + " " * 1_000_000,
        "http://" + "a:" * 500_000,
        "[" * 1_000_000,
        '{"a":' * 300 + "1" + "}" * 300,
        "hf_" * 300_000,
    ],
    ids=lambda text: text[:8],
)
def test_no_text_takes_long(text: str) -> None:
    began = time.process_time()
    masked({"note": text})
    assert time.process_time() - began < 2


def test_json_in_a_text_that_is_nested_too_deep_is_looked_through_all_the_same() -> None:
    deep = "[" * 900 + json.dumps({"hf_token": SECRET}) + "]" * 900
    assert SECRET not in masked({"note": deep})["note"]
