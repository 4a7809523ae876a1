"""``/api/cloud/uploads``: dataset archives, written to disk as they arrive."""

from typing import Any, ClassVar

from django.http import HttpRequest
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework import serializers
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response

from jobs import access
from jobs.api.base import ApiView
from jobs.api.serializers import Problem
from jobs.archive_uploads import ArchiveUploads, content_length, read_raw_archive
from jobs.models import DatasetArchive
from jobs.services.archives import IncomingArchive, delete_archive, find_archive

FILE_FIELD = "file"
FORM = "multipart/form-data"


class Upload(serializers.Serializer[object]):
    """A dataset archive that was taken."""

    upload_id = serializers.CharField()
    name = serializers.CharField()
    size_bytes = serializers.IntegerField()
    sha256 = serializers.CharField()


class UploadState(Upload):
    """How far it is on its way to the provider. ``is_kept``: our own copy is there still."""

    created_at = serializers.DateTimeField()
    sent_bytes = serializers.IntegerField()
    handed_on = serializers.BooleanField(help_text="All of it is at the provider.")
    is_kept = serializers.BooleanField()


class UploadDeleted(serializers.Serializer[object]):
    """An upload is kept no longer."""

    success = serializers.BooleanField()
    upload_id = serializers.CharField()


class LengthRequired(APIException):
    """A body that does not say how long it is."""

    status_code = 411
    default_detail = "Say in Content-Length how long the body is."
    default_code = "length_required"


class UploadListView(ApiView):
    """``/api/cloud/uploads``."""

    permissions: ClassVar = {"POST": access.SUBMIT}

    def initialize_request(self, request: HttpRequest, *arguments: Any, **options: Any) -> Request:
        """Before anything reads the body: the file shall go where it belongs, and nowhere else."""
        self._uploads = ArchiveUploads(FILE_FIELD)
        request.upload_handlers = [self._uploads]
        return super().initialize_request(request, *arguments, **options)

    def finalize_response(self, *arguments: Any, **options: Any) -> Response:
        """Leave nothing of what was not kept."""
        self._uploads.discard()
        response: Response = super().finalize_response(*arguments, **options)
        return response

    @extend_schema(
        operation_id="uploads_create",
        parameters=[OpenApiParameter("name", str, description="The file's name, if the body is the file itself.")],
        request={
            FORM: {"type": "object", "properties": {FILE_FIELD: {"type": "string", "format": "binary"}}},
            "application/octet-stream": {"type": "string", "format": "binary"},
        },
        responses={201: Upload, **dict.fromkeys((400, 403, 411, 413, 415, 507), Problem)},
    )
    def post(self, request: Request) -> Response:
        """Take a zip or tar archive of at most 100 MiB: as a form's file, or as the whole body."""
        plain = request._request
        if not content_length(plain):
            raise LengthRequired
        if (plain.content_type or "") == FORM:
            return _taken(self._from_form(plain))
        with IncomingArchive() as incoming:
            read_raw_archive(plain, incoming, content_length(plain))
            return _taken(incoming.keep(self.actor, request.query_params.get("name", "")))

    def _from_form(self, request: HttpRequest) -> DatasetArchive:
        _ = request.POST
        if self._uploads.problem is not None:
            raise self._uploads.problem
        if not self._uploads.has_archive:
            raise ValidationError({FILE_FIELD: ["The form has no such file."]})
        return self._uploads.keep(self.actor)


class UploadView(ApiView):
    """``/api/cloud/uploads/{id}``: the uploader's own only."""

    permissions: ClassVar = {"GET": access.SUBMIT, "DELETE": access.SUBMIT}

    @extend_schema(operation_id="uploads_get", responses={200: UploadState, 403: Problem, 404: Problem})
    def get(self, _request: Request, upload_id: str) -> Response:
        """Where it is."""
        archive = find_archive(self.actor, upload_id)
        state = _values(archive) | {
            "created_at": archive.created_at,
            "sent_bytes": archive.sent_bytes,
            "handed_on": archive.sent_bytes >= archive.size_bytes > 0,
            "is_kept": archive.deleted_at is None and archive.path.is_file(),
        }
        return Response(UploadState(state).data)

    @extend_schema(
        operation_id="uploads_delete", responses={200: UploadDeleted, **dict.fromkeys((403, 404, 409), Problem)}
    )
    def delete(self, _request: Request, upload_id: str) -> Response:
        """Delete it, unless a job has yet to be handed over with it."""
        delete_archive(self.actor, upload_id)
        return Response(UploadDeleted({"success": True, "upload_id": upload_id}).data)


def _taken(archive: DatasetArchive) -> Response:
    return Response(Upload(_values(archive)).data, status=201)


def _values(archive: DatasetArchive) -> dict[str, Any]:
    return {
        "upload_id": archive.archive_id,
        "name": archive.name,
        "size_bytes": archive.size_bytes,
        "sha256": archive.sha256,
    }
