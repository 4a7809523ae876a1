from typing import Any

import pytest

from jobs.datasets import local_datasets


@pytest.mark.parametrize(
    "dataset",
    [
        pytest.param({"id": "a", "type": "local", "instance_data_dir": "/data"}, id="a folder"),
        pytest.param({"id": "a", "type": "LOCAL"}, id="in capitals"),
        pytest.param({"id": "a", "instance_data_dir": "/data"}, id="a folder without a type"),
        pytest.param({"id": "a"}, id="nothing said is local"),
        pytest.param({"id": "a", "type": None, "dataset_type": None}, id="null is nothing said"),
        pytest.param({"id": "a", "type": "parquet", "instance_data_dir": "/data"}, id="a file in a folder"),
        pytest.param({"id": "a", "type": "local", "dataset_type": "conditioning"}, id="conditioning images"),
        pytest.param({"id": "a", "type": "local", "disabled": False}, id="not disabled"),
    ],
)
def test_local_datasets_need_an_archive(dataset: dict[str, Any]) -> None:
    assert local_datasets([dataset]) == ["a"]


@pytest.mark.parametrize(
    "dataset",
    [
        pytest.param({"id": "a", "type": "huggingface", "dataset_name": "x/y"}, id="from a hub"),
        pytest.param({"id": "a", "type": "aws", "aws_bucket_name": "x"}, id="from a bucket"),
        pytest.param({"id": "a", "type": "aws", "instance_data_dir": "prefix"}, id="from a bucket's folder"),
        pytest.param({"id": "a", "type": "csv"}, id="of links"),
        pytest.param({"id": "a", "type": "local", "dataset_type": "text_embeds"}, id="embeddings"),
        pytest.param({"id": "a", "type": "local", "dataset_type": "image_embeds"}, id="embeddings of images"),
        pytest.param({"id": "a", "type": "local", "dataset_type": "distillation_cache"}, id="a cache"),
        pytest.param({"id": "a", "type": "local", "disabled": True}, id="disabled"),
        pytest.param({"id": "a", "type": "local", "disable": True}, id="disabled in the other word"),
    ],
)
def test_others_do_not(dataset: dict[str, Any]) -> None:
    assert local_datasets([dataset]) == []


def test_dataset_without_a_name_is_named_by_its_place() -> None:
    assert local_datasets([{"id": "a"}, {}, {"id": 5}, {"id": ""}]) == ["a", "dataset 2", "dataset 3", "dataset 4"]
