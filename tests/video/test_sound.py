"""The sound of a clip: files, loudness, its place beside the pictures, and what is said of it."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np
import pytest

import vivant
from vivant.api.schemas import VideoFields
from vivant.checks.metrics.sound import sound_score
from vivant.errors import OptionError
from vivant.provenance.reading import read_credentials
from vivant.request_fields import CommandFields
from vivant.runs.batch_rows import read_rows
from vivant.service.job import JobSpec, request_from_json, request_json
from vivant.settings import read_settings
from vivant.types import Result, Samples, Sound, SoundFacts
from vivant.video.encoder import Encoder, to_yuv
from vivant.video.loudness import PEAK_DBTP, TARGET_LUFS, at_youtube_level, audio_frame, measure
from vivant.video.probe import probe
from vivant.video.sound_file import RATE, fitted, load_sound

SECONDS = 97 / 24
FPS = Fraction(24)
SMALL: dict[str, Any] = {"width": 256, "height": 144, "num_frames": 13}


def tone(seconds: float, rate: int = RATE, *, level: float = 0.2, channels: int = 2) -> Samples:
    at = np.arange(round(seconds * rate)) / rate
    return np.stack([level * np.sin(2 * np.pi * 440 * at)] * channels).astype(np.float32)


def voice(seconds: float, rate: int = RATE) -> Samples:
    """Bursts of noise with single sharp peaks: loudness and peak lie far apart."""
    rng = np.random.default_rng(0)
    at = np.arange(round(seconds * rate))
    wave = rng.normal(0, 0.02, len(at)) * (np.sin(2 * np.pi * 3 * at / rate) > 0)
    wave[:: rate // 4] += 0.9
    return np.stack([wave, wave]).astype(np.float32)


def write(path: Path, samples: Samples, rate: int, *, codec: str, container: str = "") -> Path:
    with av.open(str(path), "w", format=container or None) as file:
        layout = "mono" if len(samples) == 1 else "stereo"
        stream: Any = file.add_stream(codec, rate=rate, layout=layout)
        for frame in (audio_frame(samples, rate, 0), None):
            file.mux(stream.encode(frame))
    return path


def decoded(path: Path) -> tuple[Samples, int]:
    with av.open(str(path)) as file:
        frames = list(file.decode(audio=0))
        assert frames[0].pts == 0
        return np.concatenate([f.to_ndarray() for f in frames], axis=1), frames[0].sample_rate


def encode(path: Path, sound: Sound | None, frames: int = 97) -> Path:
    picture = np.zeros((64, 64, 3), np.uint8)
    with Encoder(path, width=64, height=64, fps=FPS, quality="draft", sound=sound) as encoder:
        for index in range(frames):
            picture[:] = index
            list(encoder.write(to_yuv(picture)))
        list(encoder.flush())
        encoder.close()
    return path


@pytest.mark.parametrize(("rate", "channels"), [(24_000, 2), (48_000, 2), (48_000, 1)])
def test_sound_lies_beside_its_pictures(tmp_path: Path, rate: int, channels: int) -> None:
    samples = np.zeros((channels, round(SECONDS * rate)), np.float32)
    flash = rate * 3  # of frame 72
    samples[:, flash] = 0.9
    path = encode(tmp_path / "a.mp4", Sound(samples, rate))
    found, found_rate = decoded(path)
    assert (found_rate, len(found)) == (rate, channels)
    assert abs(int(np.abs(found[0]).argmax()) - flash) <= 2  # samples; one frame is rate / 24
    with av.open(str(path)) as file:
        assert [round(f.time * 24) for f in file.decode(video=0)] == list(range(97))
    facts = probe(path)
    assert facts.sound is not None
    assert facts.moov_first
    assert facts.constant_rate
    assert not facts.edit_list  # none that skips or delays a frame
    assert facts.num_frames == 97
    assert abs(facts.sound.seconds - SECONDS) < 0.002
    assert facts.sound.start == 0

    again = encode(tmp_path / "b.mp4", Sound(samples, rate))
    assert again.read_bytes() == path.read_bytes()


def test_the_end_of_the_sound_is_the_end_of_the_pictures() -> None:
    sound = Sound(tone(1.0), RATE)
    assert fitted(sound, 1.5).seconds == 1.5
    assert fitted(sound, 0.5).seconds == 0.5
    np.testing.assert_array_equal(fitted(sound, 0.5).samples, sound.samples[:, : RATE // 2])


@pytest.mark.parametrize("kind", ["tone", "quiet", "voice", "loud"])
def test_loudness_is_youtubes_and_peaks_leave_room(tmp_path: Path, kind: str) -> None:
    made = {
        "tone": tone(SECONDS),
        "quiet": tone(SECONDS, level=0.003),
        "voice": voice(SECONDS),
        "loud": np.sign(tone(SECONDS)),
    }[kind]
    sound, told = at_youtube_level(Sound(made.astype(np.float32), RATE))
    assert sound.samples.shape == made.shape
    assert told.integrated == pytest.approx(TARGET_LUFS, abs=0.1)
    facts = probe(encode(tmp_path / "a.mp4", sound)).sound  # after AAC
    assert facts is not None
    assert facts.loudness == pytest.approx(TARGET_LUFS, abs=0.2)
    assert facts.true_peak is not None
    assert facts.true_peak <= PEAK_DBTP


def test_loudness_is_that_of_ffmpeg(tmp_path: Path) -> None:
    path = write(tmp_path / "a.wav", voice(3), RATE, codec="pcm_f32le")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path)]
    command += ["-af", "ebur128=peak=true", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    summary = said[said.rindex("Summary:") :]
    found = measure(Sound(voice(3), RATE))
    integrated = re.search(r"I:\s+(-?[\d.]+) LUFS", summary)
    peak = re.search(r"Peak:\s+(-?[\d.]+) dBFS", summary)
    assert integrated is not None
    assert peak is not None
    assert found.integrated == pytest.approx(float(integrated[1]), abs=0.06)
    assert found.true_peak == pytest.approx(float(peak[1]), abs=0.06)


@pytest.mark.parametrize(
    ("name", "codec", "rate", "channels"),
    [
        ("a.wav", "pcm_s16le", 44_100, 1),
        ("a.flac", "flac", 96_000, 2),
        ("a.m4a", "aac", 22_050, 2),
        ("a.ogg", "libopus", 48_000, 2),
        ("a.mp3", "libmp3lame", 44_100, 2),
    ],
)
def test_sound_files_of_many_kinds(
    tmp_path: Path, name: str, codec: str, rate: int, channels: int
) -> None:
    path = write(tmp_path / name, tone(1.5, rate, channels=channels), rate, codec=codec)
    found = load_sound(path, 1.0)
    assert found.notes == ()
    assert (found.sound.rate, found.sound.samples.shape) == (RATE, (2, RATE))
    # faded in and out
    assert np.abs(found.sound.samples[:, :20]).max() < 0.01
    assert np.abs(found.sound.samples[:, -20:]).max() < 0.01
    middle = np.abs(found.sound.samples[:, RATE // 4 : RATE // 2]).max()
    assert middle > 0.2
    spectrum = np.abs(np.fft.rfft(found.sound.samples[0]))
    assert spectrum.argmax() == 440


def test_a_short_sound_ends_and_silence_follows(tmp_path: Path) -> None:
    path = write(tmp_path / "short.wav", tone(1.0), RATE, codec="pcm_s16le")
    found = load_sound(path, 2.0)
    assert found.sound.seconds == 2.0
    assert not found.sound.samples[:, RATE:].any()
    assert np.abs(found.sound.samples[:, round(0.98 * RATE) : RATE]).max() < 0.02
    assert found.notes == (
        "The sound short.wav is 1.00 s long and the clip 2.00 s: the rest is silent.",
    )
    tiny = load_sound(write(tmp_path / "tiny.wav", tone(0.1), RATE, codec="pcm_s16le"), 0.1)
    assert "too short or too quiet to have a loudness" in tiny.notes[0]


def test_files_that_are_no_sound(tmp_path: Path) -> None:
    silent = write(tmp_path / "silent.wav", tone(1, level=0), RATE, codec="pcm_s16le")
    late = np.pad(tone(1), ((0, 0), (RATE, 0)))
    late_file = write(tmp_path / "late.wav", late, RATE, codec="pcm_s16le")
    (tmp_path / "empty.mp3").write_bytes(b"")
    (tmp_path / "text.mp3").write_text("not a sound" * 100)
    (tmp_path / "list.m3u8").write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n")
    cases = {
        tmp_path / "none.mp3": "does not exist",
        tmp_path: "is not a file",
        tmp_path / "empty.mp3": "0 bytes",
        tmp_path / "text.mp3": "is not a sound file that can be read",
        tmp_path / "list.m3u8": "is not a sound file that can be read",
        encode(tmp_path / "mute.mp4", None, 3): "has no sound that can be decoded",
        silent: "the first 1.00 s of silent.wav are silent",
        late_file: "the first 1.00 s of late.wav are silent",
    }
    for path, words in cases.items():
        with pytest.raises(OptionError, match=re.escape(words)) as caught:
            load_sound(path, 1.0)
        assert caught.value.param == "sound"


def facts(**changes: Any) -> SoundFacts:
    usual: dict[str, Any] = {
        "codec": "aac", "rate": 48_000, "channels": 2, "start": 0.0, "seconds": 13 / 24,
        "loudness": -14.0, "true_peak": -1.5,
    }  # fmt: skip
    return SoundFacts(**{**usual, **changes})


@pytest.mark.parametrize(
    ("changes", "asked", "verdict", "words"),
    [
        ({}, True, "pass", "-14.0 LUFS"),
        ({"loudness": None, "true_peak": None}, True, "warn", "nothing to be heard"),
        ({"true_peak": -70.0}, True, "warn", "nothing to be heard"),
        ({"true_peak": 0.8}, True, "warn", "above 0"),
        ({"start": 0.05}, True, "fail", "begins 50 ms after the first frame"),
        ({"start": 0.05}, False, "warn", "begins 50 ms after the first frame"),
        ({"seconds": 0.45}, True, "fail", "more than one frame apart"),
        ({"seconds": 0.45}, False, "warn", "more than one frame apart"),
        ({"seconds": 0.52}, True, "pass", "as the picture does"),
        ({"broken": True}, False, "warn", "damaged"),
    ],
)
def test_what_is_said_of_a_sound(
    clip: Result, changes: dict[str, Any], asked: bool, verdict: str, words: str
) -> None:
    found = sound_score(
        replace(clip.report.verification.facts, sound=facts(**changes)), asked=asked
    )
    assert found.verdict == verdict
    assert words in found.reason


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sound")


@pytest.fixture(scope="module")
def music(folder: Path) -> Path:
    return write(folder / "music.wav", voice(0.45), RATE, codec="pcm_s16le")


@pytest.fixture(scope="module")
def clip(folder: Path, music: Path, portrait_bytes: bytes) -> Result:
    """A clip of ``camera`` with a file's sound."""
    return vivant.animate(
        portrait_bytes, folder / "a.mp4", engine="camera", sound=str(music), **SMALL
    )


def test_a_clip_with_a_file_is_signed_and_checked(
    clip: Result, music: Path, portrait_bytes: bytes
) -> None:
    report = clip.report
    score = next(s for s in report.verification.scores if s.name == "sound")
    assert score.verdict == "pass"
    assert score.value == pytest.approx(-14, abs=0.5)
    assert report.settings["sound"]["name"] == "music.wav"
    assert any("0.45 s long and the clip 0.54 s" in warning for warning in report.warnings)
    assert report.credentials["signed"] is True
    told = read_credentials(clip.clip, read_settings())
    assert told.state == "valid"
    assert told.production["sound"] == "file"
    again = vivant.verify(clip.clip, portrait_bytes)
    read_back = next(s for s in again.scores if s.name == "sound")
    assert (read_back.verdict, read_back.value) == ("pass", score.value)


def test_engines_own_sound_only_where_it_is_asked_for(
    folder: Path, portrait_bytes: bytes, clip: Result
) -> None:
    made = vivant.animate(portrait_bytes, folder / "f.mp4", engine="fake", sound=True, **SMALL)
    sound = made.report.verification.facts.sound
    assert sound is not None
    assert sound.rate == 24_000
    assert made.report.settings["sound"] is True
    samples, rate = decoded(made.clip)
    assert abs(np.abs(np.fft.rfft(samples[0, : rate // 2])).argmax() * 2 - 220) <= 2
    assert clip.report.verification.facts.sound != sound

    mute = vivant.animate(portrait_bytes, folder / "m.mp4", engine="fake", **SMALL)
    assert mute.report.verification.facts.sound is None
    score = next(s for s in mute.report.verification.scores if s.name == "sound")
    assert (score.verdict, score.reason) == ("not_measured", "The clip has no sound.")
    assert "sound" not in mute.report.settings


def test_no_work_is_done_for_a_sound_that_cannot_be(tmp_path: Path, portrait_bytes: bytes) -> None:
    seen: list[Any] = []
    for engine, sound, words in (
        ("camera", tmp_path / "none.mp3", "does not exist"),
        ("living", True, "engine living makes no sound of its own"),
    ):
        with pytest.raises(OptionError, match=words):
            vivant.animate(
                portrait_bytes, tmp_path / "a.mp4", engine=engine, sound=sound,
                observe=seen.append, **SMALL,
            )  # fmt: skip
    assert seen == []
    assert not list(tmp_path.iterdir())


def test_the_command_line_takes_a_file_or_on(tmp_path: Path) -> None:
    def sound(text: str, engine: str = "ltx2") -> bool | Path:
        fields = CommandFields.read({"sound": text, "engine": engine})
        return fields.to_request(b"", read_settings()).sound

    assert sound("") is False
    assert sound("off") is False
    assert sound("on") is True
    assert sound("music/a.mp3", "camera") == Path("music/a.mp3")
    with pytest.raises(OptionError, match="engine camera makes no sound"):
        sound("on", "camera")
    table = tmp_path / "rows.csv"
    table.write_text("image,sound,engine\na.png,b.mp3,camera\na.png,on,ltx2\n")
    rows = read_rows(
        table, lambda image, own: CommandFields.read(own).to_request(image, read_settings())
    )
    assert [row.request and row.request.sound for row in rows] == [tmp_path / "b.mp3", True]


def test_the_api_takes_no_file_and_keeps_the_switch() -> None:
    settings = read_settings(engines=("living", "fake"))
    fields = VideoFields.read({"generate_audio": "true", "model": "fake"})
    request = fields.to_request(b"", settings)
    assert request.sound is True
    stored = request_json(JobSpec(request=request, picture={}))
    assert stored["sound"] is True
    assert request_from_json(stored).sound is True
    silent = request_json(JobSpec(request=replace(request, sound=False), picture={}))
    assert "sound" not in silent  # orders from before hash to what they did
    assert request_from_json(silent).sound is False
    for values, param in (
        ({"generate_audio": "yes"}, "generate_audio"),
        ({"generate_audio": "/etc/passwd"}, "generate_audio"),
        ({"generate_audio": True, "model": "living"}, "generate_audio"),
        ({"sound": "/etc/passwd"}, "sound"),
    ):
        with pytest.raises(OptionError) as caught:
            VideoFields.read(values).to_request(b"", settings)
        assert caught.value.param == param
