"""A clip on its way in and out of the service: accepted, cancelled, deleted."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress

from fastapi import Request

from vivant.api.engine_options import check_options
from vivant.api.errors import HttpError
from vivant.api.schemas import IDEMPOTENCY_PATTERN, VideoFields
from vivant.api.state import State
from vivant.api.uploads.picture_files import PictureUpload
from vivant.errors import DatabaseError, StorageError
from vivant.service.adapters import check_adapters
from vivant.service.admission import request_hash, same
from vivant.service.job import SOURCE, Job, JobSpec, key, new_id, remove_unfinished, request_json

LARGE_BYTES = 4_000_000
"""Before a larger body is read, it is looked whether the queue is full."""


async def submit(request: Request, shared: State, owner: str) -> Job:
    """Read a request for a clip and accept its job.

    Raises:
        HttpError: the body cannot be read, or has no picture.
        InputError: fields or picture cannot be used.
        BusyError: the queue, or this owner's part of it, is full.
    """
    idempotency_key = idempotency_key_of(request)
    if idempotency_key is None and is_large(request):
        # with a key the job may be there already, and is answered even where the queue is full
        await asyncio.to_thread(shared.admission.refuse_if_full, owner)
    async with shared.uploads.read(request) as upload:
        fields = VideoFields.read(upload.fields)
        clip = fields.to_request(b"", shared.settings)
        (picture,) = await shared.uploads.pictures(upload)
        spec = JobSpec(
            request=clip,  # without the picture: no picture is decoded in this process
            picture={"name": picture.name, "size": picture.size, "sha256": picture.sha256},
            currency=fields.currency,
            priority=fields.priority,
            budget=fields.budget,
            batch=fields.batch,
            webhook_url=fields.webhook_url,
        )
        return await asyncio.to_thread(_accept, shared, owner, spec, picture, idempotency_key)


def is_large(request: Request) -> bool:
    """Whether a look at the queue costs less than the upload."""
    length = request.headers.get("content-length", "")
    return not length.isdigit() or int(length) > LARGE_BYTES


def idempotency_key_of(request: Request) -> str | None:
    """The header's value.

    Raises:
        HttpError: 400.
    """
    value = request.headers.get("idempotency-key")
    if value is not None and not re.fullmatch(IDEMPOTENCY_PATTERN, value):
        raise HttpError(
            400,
            "Idempotency-Key is not 1…200 printable ASCII characters",
            "invalid_option",
            param="Idempotency-Key",
        )
    return value


def _accept(
    shared: State, owner: str, spec: JobSpec, picture: PictureUpload, idempotency_key: str | None
) -> Job:
    check_options(spec.request)
    check_adapters(spec.request, shared.settings)
    if idempotency_key is not None:
        found = shared.admission.find(owner, idempotency_key)
        if found is not None:
            same(found.request_hash, request_hash(request_json(spec), spec), idempotency_key)
            return shared.job_store.get(found.id, owner)
    check_signature(picture)
    job_id = new_id()
    name = key(job_id, SOURCE)
    assert picture.file is not None  # noqa: S101 - it was fetched
    shared.objects.take_file(name, picture.file)
    try:
        job, new = shared.admission.accept(job_id, spec, owner, idempotency_key=idempotency_key)
    except BaseException:
        discard(shared, name)
        raise
    if not new:
        discard(shared, name)
    return job if new else shared.job_store.get(job.id, owner)


def check_signature(picture: PictureUpload) -> None:
    """Refuse what its first bytes show to be no picture; a worker finds out the rest.

    Raises:
        ImageError: with the reason.
    """
    from vivant.picture.source import sniff

    assert picture.file is not None  # noqa: S101 - it was fetched
    with picture.file.open("rb") as file:
        head = file.read(4096)
        if head[4:8] == b"ftyp":  # its boxes reach to the end
            head += file.read()
    if head[:4] == b"RIFF":
        head = head[:4] + b"\0\0\0\0" + head[8:]  # its length is checked when all of it is read
    sniff(head, "the picture")


def discard(shared: State, name: str) -> None:
    """Remove one object that nobody needs."""
    with suppress(StorageError):  # the sweeper removes it later
        shared.objects.delete(name)


def cancel(shared: State, job_id: str, owner: str | None) -> Job:
    """Cancel a job and take it off the queues; a finished one stays as it is."""
    job = shared.job_store.cancel(job_id, owner, keep_seconds=shared.keep_seconds)
    shared.admission.withdraw(job_id)
    if not job.active:
        with suppress(StorageError):  # they go when the job expires
            remove_unfinished(shared.objects, job_id)
    return job


def delete(shared: State, job_id: str, owner: str) -> None:
    """Delete a job and its files; a running one is cancelled first.

    Raises:
        JobNotFoundError: there is none, or it is somebody else's.
    """
    shared.job_store.get(job_id, owner)
    try:
        _forget(shared, job_id, owner)
    except DatabaseError as error:
        if error.error_code != "storage_full":
            raise
        shared.objects.delete_folder(f"jobs/{job_id}")  # makes the room that the database needs
        _forget(shared, job_id, owner)


def _forget(shared: State, job_id: str, owner: str) -> None:
    cancel(shared, job_id, owner)
    shared.job_store.delete(job_id, owner)
    shared.objects.delete_folder(f"jobs/{job_id}")
    shared.admission.forget(job_id)
