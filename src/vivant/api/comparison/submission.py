"""A comparison on its way in: its estimate, and all of its clips accepted, or none."""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from vivant.api.comparison.fields import PlannedComparison
from vivant.api.estimates import costs, estimate_clip, jobs_ahead, rounded
from vivant.api.state import State
from vivant.api.submission import check_signature, discard
from vivant.api.uploads.picture_files import PictureUpload
from vivant.errors import ImageError, OptionError
from vivant.report import plain
from vivant.service.admission import same
from vivant.service.comparisons import StoredComparison
from vivant.service.job import SOURCE, JobSpec, key, new_id

MAX_CLIPS = 500
"""Of one comparison; the queue and the key's share of it may allow fewer."""


def max_clips(shared: State, owner: str) -> int:
    """Clips that one comparison may have."""
    return min(MAX_CLIPS, shared.admission.most_at_once(owner))


async def estimate_json(
    shared: State, owner: str, planned: PlannedComparison, pictures: int
) -> dict[str, Any]:
    """Time and cost of all clips together; null where an engine has not been measured here yet."""
    each = len(planned.plan.seeds) * pictures
    clips, most = planned.clips * pictures, max_clips(shared, owner)
    variants, guesses, amounts, priced = [], [], dict[str, float](), 0
    for name, request in planned.requests.items():
        guess, device = await estimate_clip(shared, request)
        guesses.append(guess)
        variants.append(
            {
                "name": name,
                "clips": each,
                "seconds_per_clip": rounded(guess.seconds),
                "device": device,
            }
        )
        bills = costs(shared.settings, device, each * (guess.seconds or 0.0), planned.currency)
        priced += bool(bills)
        for one in bills:
            amounts[one["currency"]] = amounts.get(one["currency"], 0.0) + one["amount"]
    unknown = next((guess.basis for guess in guesses if guess.seconds is None), "")

    def total(which: str) -> float | None:
        values = [getattr(guess, which) or 0.0 for guess in guesses]
        return None if unknown else rounded(each * sum(values))

    ahead = await jobs_ahead(shared)
    seconds = total("seconds")
    return {
        "object": "comparison.estimate",
        "clips": clips,
        "max_clips": most,
        "fits": clips <= most,
        "variants": variants,
        "seconds": seconds,
        "seconds_low": total("low"),
        "seconds_high": total("high"),
        "basis": unknown or guesses[0].basis,
        "queue_seconds": rounded(None if seconds is None else ahead * seconds / clips),
        "costs": [
            {"currency": code, "amount": round(amount, 6)}
            for code, amount in amounts.items()
            if priced == len(guesses) and not unknown
        ],
    }


def accept(
    shared: State,
    owner: str,
    planned: PlannedComparison,
    uploads: Sequence[PictureUpload],
    idempotency_key: str | None,
) -> StoredComparison:
    """Store the pictures and take all of its jobs in.

    Raises:
        OptionError: it has more clips than this service ever takes at once.
        ImageError: a picture is none, or was sent twice.
        BusyError: there is not room for all of its clips now.
        ConflictError: the same key came with another request.
    """
    plan, clips = planned.plan, planned.clips * len(uploads)
    most = max_clips(shared, owner)
    if clips > most:
        raise OptionError(
            f"{len(planned.requests)} variants × {len(plan.seeds)} seeds × {len(uploads)} pictures "
            f"are {clips} clips, and this service takes {most} at once: fewer seeds or pictures, "
            "or one comparison after the other",
            code="too_many_clips",
            param="seeds",
        )
    pictures = _named(uploads)
    plain_plan = plain(plan)
    digest = _hash([plain_plan, pictures, planned.currency, planned.priority])
    if idempotency_key is not None:
        found = shared.comparisons.find(owner, idempotency_key)
        if found is not None:
            same(found.request_hash, digest, idempotency_key)
            return found
    for upload, picture in zip(uploads, pictures, strict=True):
        try:
            check_signature(upload)
        except ImageError as error:
            raise ImageError(
                f"{picture['name']}: {error.message}", code=error.error_code,
                param="input_reference",
            ) from None  # fmt: skip
    shared.admission.refuse_if_full(owner, clips)
    comparison_id = f"comparison_{secrets.token_hex(16)}"
    specs, cells = _orders(comparison_id, planned, uploads, pictures)
    stored: list[str] = []
    try:
        files = {p["name"]: u.file for p, u in zip(pictures, uploads, strict=True) if u.file}
        _store(shared, files, cells, stored)
        question, now = _question(plain_plan), time.time()
        made = StoredComparison(
            comparison_id, owner, now, plain_plan, question, pictures, cells, digest
        )
        kept, new = shared.comparisons.accept(
            made, specs, shared.admission, idempotency_key=idempotency_key
        )
    except BaseException:
        _discard(shared, stored)
        raise
    if not new:
        _discard(shared, stored)
    return kept


def _orders(
    comparison_id: str,
    planned: PlannedComparison,
    uploads: Sequence[PictureUpload],
    pictures: list[dict[str, Any]],
) -> tuple[list[tuple[str, JobSpec]], list[dict[str, Any]]]:
    """One job for every variant, picture and seed, and what each of them is."""
    from vivant.compare.clips import InputPicture, clip_order

    sizes = {p["name"]: u.size for u, p in zip(uploads, pictures, strict=True)}
    specs: list[tuple[str, JobSpec]] = []
    cells: list[dict[str, Any]] = []
    listed = [InputPicture(p["name"], p["sha256"], b"") for p in pictures]
    for variant, picture, seed in clip_order(planned.plan, listed):
        job_id = new_id()
        spec = JobSpec(
            request=replace(planned.requests[variant.name], seed=seed),
            picture={"name": picture.name, "size": sizes[picture.name], "sha256": picture.sha256},
            currency=planned.currency,
            priority=planned.priority,
            batch=comparison_id,
        )
        specs.append((job_id, spec))
        cells.append(
            {"job": job_id, "variant": variant.name, "picture": picture.name, "seed": seed}
        )
    return specs, cells


def _store(
    shared: State, files: Mapping[str, Path], cells: Sequence[Mapping[str, Any]], stored: list[str]
) -> None:
    """Every job has its own picture: the first of them takes the file, others a copy of that."""
    first: dict[str, str] = {}
    for cell in cells:
        picture, name = cell["picture"], key(cell["job"], SOURCE)
        stored.append(name)
        if picture in first:
            shared.objects.copy(first[picture], name)
        else:
            shared.objects.take_file(name, files[picture])
            first[picture] = name


def _discard(shared: State, names: Sequence[str]) -> None:
    for name in names:
        discard(shared, name)


def _named(uploads: Sequence[PictureUpload]) -> list[dict[str, Any]]:
    """Name and SHA-256 of each picture; no two are called the same.

    Raises:
        ImageError: one was sent twice.
    """
    pictures: list[dict[str, Any]] = []
    for upload in uploads:
        names = {picture["name"] for picture in pictures}
        name, number = upload.name or "picture", 1
        while name in names:
            number += 1
            name = f"{upload.name or 'picture'} ({number})"
        for picture in pictures:
            if picture["sha256"] == upload.sha256:
                raise ImageError(
                    f"{name} is the same picture as {picture['name']}: send it once",
                    param="input_reference",
                )
        pictures.append({"name": name, "sha256": upload.sha256})
    return pictures


def _question(plan: Mapping[str, Any]) -> str:
    """What is planned, whatever the pictures, seeds and words it is planned in."""
    about = ("num_frames", "fps", "width", "height", "judged")
    variants = [{k: v for k, v in one.items() if k != "words"} for one in plan["variants"]]
    return _hash([variants, *(plan[name] for name in about)])


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
