"""What SimpleTuner's trainers at Replicate are started with, and what comes back of a file. Pure."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from providers.errors import ProviderRejected, UnexpectedPayload
from providers.launch import TrainingRequest, UploadedFile
from providers.replicate import mapping, marks

# The Files API's own limit ("Files must be less than 100MB in size").
MAX_FILE_BYTES = 100 * 1024 * 1024
# The start and the end of a run. Log events come twice a second, and what they tell is read when it is wanted.
WEBHOOK_EVENTS = ("start", "completed")
# The trainer has inputs of its own for these, so they need not stand in the configuration as it is kept there.
OWN_INPUTS = ("hf_token", "hub_model_id")


def prediction(request: TrainingRequest, version: str) -> dict[str, Any]:
    """The body that starts a job: SimpleTuner trains inside a prediction."""
    config, own_inputs = _split(request.config)
    inputs = {
        "config_json": json.dumps(config),
        "dataloader_json": json.dumps(request.dataloader_config) if request.dataloader_config else None,
        "images": request.archive_url,
        **own_inputs,
        "webhook_config": _trainer_webhook(request.trainer_webhook_url),
        "config_name": request.name,
        "tracker_run_name": request.tracker_run_name,
        marks.INPUT_KEY: request.mark,
    }
    body: dict[str, Any] = {
        "version": f"{request.model}:{version}",
        "input": {key: value for key, value in inputs.items() if value},
    }
    if request.webhook_url:
        body["webhook"] = marks.marked_url(request.webhook_url, request.mark)
        body["webhook_events_filter"] = list(WEBHOOK_EVENTS)
    return body


def newest_version(payload: object) -> str:
    """The id of a model's newest version. Raises ``ProviderRejected`` if it has none."""
    latest = payload.get("latest_version") if isinstance(payload, dict) else None
    version = latest.get("id") if isinstance(latest, dict) else None
    if not isinstance(version, str) or not mapping.VERSION.match(version):
        raise ProviderRejected("The trainer has no version at Replicate that could be run.")
    return version


def uploaded_file(payload: object) -> UploadedFile:
    """Read the answer to an upload. Raises ``UnexpectedPayload`` if it does not say where the file is."""
    body = payload if isinstance(payload, dict) else {}
    urls = body.get("urls")
    url = urls.get("get") if isinstance(urls, dict) else None
    if not isinstance(url, str) or not url.startswith(("https://", "http://")):
        raise UnexpectedPayload("Replicate took a file and did not say where it is.")
    return UploadedFile(url=url, expires_at=_time(body.get("expires_at")))


def _split(config: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The configuration without what the trainer takes as inputs of their own, and these."""
    names = {key: key.lstrip("-") for key in config}
    own = {names[key]: str(value) for key, value in config.items() if names[key] in OWN_INPUTS and value}
    # The token alone is taken out: an input of that name is a secret to Replicate, a text of JSON is not.
    return {key: value for key, value in config.items() if names[key] != "hf_token"}, own


def _trainer_webhook(url: str) -> str | None:
    return json.dumps([{"url": url, "events": ["all"]}]) if url else None


def _time(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        stamp = datetime.fromisoformat(value)
        return stamp.astimezone(UTC) if stamp.tzinfo else stamp.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
