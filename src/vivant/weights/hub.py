"""The Hugging Face Hub over plain HTTP: revisions, lists of files, and their bytes."""

from __future__ import annotations

import fnmatch
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import PurePosixPath
from typing import Any

from vivant.errors import MissingPartError, WeightsError
from vivant.weights.registry import Part


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a part at a commit; its hash where the registry or the Hub knows it."""

    part: Part
    commit: str
    path: str
    size: int
    sha256: str | None


class Hub:
    """The Hub's HTTP interface, as little of it as is needed.

    Args:
        url: e.g. ``https://huggingface.co``, or a mirror.
        token: sent to ``url`` only, never to where it redirects.
    """

    def __init__(self, url: str, token: str | None = None) -> None:
        self.url = url.rstrip("/")
        self.token = token

    def _open(self, url: str, start: int = 0) -> Any:
        request = urllib.request.Request(url)  # noqa: S310 - the scheme is the setting's
        if start:
            request.add_header("Range", f"bytes={start}-")
        if self.token:
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        try:
            return urllib.request.urlopen(request, timeout=60)  # noqa: S310
        except urllib.error.HTTPError as error:
            reason = {
                401: "it needs a token: log in with `hf auth login`",
                403: "its licence must be accepted on its page first",
                404: "it is not there",
            }.get(error.code, f"the server says {error.code}")
            error.close()
            raise MissingPartError(f"{url} cannot be read: {reason}") from None
        except (urllib.error.URLError, TimeoutError, OSError) as error:
            raise MissingPartError(
                f"{url} cannot be reached ({getattr(error, 'reason', error)}): check the "
                "network, or point VIVANT_HUB_URL at a mirror"
            ) from None

    def _json(self, url: str, kind: type) -> tuple[Any, str | None]:
        """What ``url`` says, a ``kind``, and where it goes on."""
        try:
            with closing(self._open(url)) as response:
                following = re.search(
                    r'<([^>]+)>;\s*rel="next"', response.headers.get("Link") or ""
                )
                answer = json.loads(response.read())
        except (OSError, HTTPException) as error:
            raise MissingPartError(f"{url} broke off ({error}): try again") from None
        except ValueError:
            answer = None
        if not isinstance(answer, kind):
            raise MissingPartError(
                f"{url} does not answer as a Hub does: look for a login page of the network, and "
                "check VIVANT_HUB_URL"
            )
        return answer, following and following[1]

    def commit(self, repo: str, revision: str) -> str:
        """The commit that ``revision`` names now."""
        if re.fullmatch(r"[0-9a-f]{40}", revision):
            return revision
        answer, _ = self._json(f"{self.url}/api/models/{repo}/revision/{revision}", dict)
        if "sha" not in answer:
            raise MissingPartError(f"{self.url} does not tell the commit of {repo}: try again")
        return str(answer["sha"])

    def files(self, part: Part, commit: str) -> Iterator[RemoteFile]:
        """The part's files at ``commit``.

        Raises:
            MissingPartError: the Hub cannot be reached.
            WeightsError: it names a file that would lie outside the model's folder.
        """
        url: str | None = f"{self.url}/api/models/{part.repo}/tree/{commit}?recursive=true"
        while url is not None:
            listing, url = self._json(url, list)
            for entry in listing:
                path = str(entry["path"])
                if entry["type"] != "file" or not any(
                    fnmatch.fnmatchcase(path, pattern) for pattern in part.patterns
                ):
                    continue
                pure = PurePosixPath(path)
                if pure.is_absolute() or ".." in pure.parts or "\\" in path:
                    raise WeightsError(f"{self.url} names a file {path!r}: it is no Hub")
                known = part.sha256.get(path) or (entry.get("lfs") or {}).get("oid")
                yield RemoteFile(part, commit, path, int(entry["size"]), known)

    def stream(self, file: RemoteFile, start: int) -> tuple[Any, bool]:
        """The file's bytes from ``start``; False where the server begins at 0 regardless."""
        path = urllib.parse.quote(file.path)
        response = self._open(f"{self.url}/{file.part.repo}/resolve/{file.commit}/{path}", start)
        return response, response.status == 206 if start else True

    @staticmethod
    def read(response: Any, count: int) -> bytes:
        """At most ``count`` bytes more; none at the end, or where the connection is gone."""
        try:
            block: bytes = response.read(count)
        except (OSError, HTTPException):
            return b""
        return block
