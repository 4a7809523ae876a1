"""What a training configuration may be: jobs.training_config."""

import pytest

from jobs.training_config import MAX_DEPTH, InvalidField, read_json, separate, setting, whole


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Line 1, column 1"),
        ("{\n'a': 1}", "Line 2, column 1"),
        ('{"a": 1,\n "b": 2,\n}', "Line 3"),
        ('{"a": {"b": 1, "b": 2}}', "“b” stands in it twice"),
        ('{"a": Infinity}', "Infinity"),
        ("[" * 100_000, "nested deeper"),
        (" " * 1024 * 1024 + "{}", "1024 KiB"),
    ],
)
def test_json_that_cannot_be_read_says_where(text: str, words: str) -> None:
    with pytest.raises(InvalidField, match=words) as refused:
        read_json(text, "config")
    assert refused.value.field == "config"


def test_datasets_are_taken_out_and_put_back() -> None:
    config, datasets = separate({"a": 1, "dataloader_config": [{"id": "x"}]})
    assert (config, datasets) == ({"a": 1}, [{"id": "x"}])
    assert whole(config, datasets) == {"a": 1, "dataloader_config": [{"id": "x"}]}
    assert separate({"a": 1, "dataloader_config": [{"id": "x"}]}, [{"id": "x"}]) == (config, datasets)


def test_depth_has_a_limit_that_real_configurations_never_reach() -> None:
    def nested(levels: int) -> object:
        return {"a": nested(levels - 1)} if levels else 1

    separate(nested(MAX_DEPTH))
    with pytest.raises(InvalidField, match="nested deeper"):
        separate(nested(MAX_DEPTH + 1))


def test_setting_is_found_under_both_its_names() -> None:
    assert setting({"model_family": "flux"}, "model_family") == "flux"
    assert setting({"--model_family": "sdxl"}, "model_family") == "sdxl"
    assert setting({"model_family": 7}, "model_family") == setting({}, "model_family") == ""
