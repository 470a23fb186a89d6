"""Judgements, one line of JSON each, appended to a file.

A judgement is confirmed only after its line is on the disk. A crash may leave half a line at the
end: it is ignored, and the next line starts anew.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from vivant.errors import OutputError

JOURNAL = "rate.jsonl"

Answer: TypeAlias = Literal["first", "second", "tie"]
"""``first`` is the pair's first side (the baseline), wherever it stood."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a person said about a pair.

    Attributes:
        a: which side stood at A: 0 the first, 1 the second.
        seconds: from both clips playing to the answer.
        looked: whether the results had been seen before, so that the test was no longer blind.
    """

    pair: str
    answer: Answer
    a: int
    seconds: float
    looked: bool
    at: str


class Journal:
    """The judgements of one folder.

    Raises:
        OutputError: the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._judgements: dict[str, Judgement] = {}
        self.seed = ""
        self.looked = False
        self.lines = 0
        for entry in self._read():
            self._take(entry)
        if not self.seed:
            self._write({"kind": "start", "seed": secrets.token_hex(8), "at": _now()})

    @property
    def judgements(self) -> dict[str, Judgement]:
        """The newest judgement of each pair."""
        return dict(self._judgements)

    def judge(self, pair: str, answer: Answer, *, a: int, seconds: float) -> Judgement:
        """Write down an answer; an earlier one about the same pair no longer counts."""
        said = Judgement(
            pair=pair, answer=answer, a=a, seconds=round(seconds, 2), looked=self.looked, at=_now()
        )
        self._write({"kind": "judgement", **asdict(said)})
        return said

    def look(self) -> None:
        """Write down that the results were looked at."""
        if not self.looked and self._judgements:
            self._write({"kind": "looked", "at": _now()})

    def _take(self, entry: Any) -> None:
        kind = entry.get("kind") if isinstance(entry, dict) else None
        if kind == "start" and not self.seed:
            self.seed = str(entry["seed"])
        elif kind == "looked":
            self.looked = True
        elif kind == "judgement" and entry.get("answer") in get_args(Answer):
            values = {name: entry[name] for name in Judgement.__dataclass_fields__}
            self._judgements[values["pair"]] = Judgement(**values)
            self.lines += 1

    def _read(self) -> Iterator[Any]:
        try:
            text = self._path.read_text("utf-8", "replace")
        except FileNotFoundError:
            return
        except OSError as error:
            raise OutputError(f"{self._path} cannot be read: {error.strerror}") from None
        for line in text.splitlines():
            try:
                entry = json.loads(line)
            except ValueError:
                continue  # torn by a crash
            yield entry

    def _write(self, entry: dict[str, Any]) -> None:
        line = json.dumps(entry, ensure_ascii=False) + "\n"
        try:
            with self._path.open("ab") as file:
                if file.tell() and not self._ends_whole():
                    line = "\n" + line
                file.write(line.encode())
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise OutputError(
                f"{self._path} cannot be written: {error.strerror}; the judgement is not kept"
            ) from None
        self._take(entry)

    def _ends_whole(self) -> bool:
        with self._path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
