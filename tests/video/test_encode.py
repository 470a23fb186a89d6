from __future__ import annotations

import subprocess
from fractions import Fraction
from itertools import chain
from pathlib import Path

import av
import cv2
import imageio_ffmpeg
import numpy as np
import pytest

from vivant.errors import OutputError
from vivant.types import Frames
from vivant.video.encoder import ENCODINGS, Encoder, PacketDecoder, gop_length, to_yuv
from vivant.video.probe import probe
from vivant.video.reader import frames_at, open_clip, to_rgb

FOREIGN = (imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i")


def moving_patches(count: int, height: int = 96, width: int = 128) -> Frames:
    """Saturated flat patches that drift by two pixels a frame: every matrix error shows."""
    colours = np.array(
        [
            [220, 30, 30],
            [30, 220, 30],
            [30, 30, 220],
            [235, 235, 40],
            [128, 128, 128],
            [10, 10, 10],
        ],
        np.uint8,
    )
    row = np.repeat(colours, width // 4, axis=0)
    frames = [
        np.broadcast_to(np.roll(row, 2 * t, axis=0)[:width], (height, width, 3))
        for t in range(count)
    ]
    return np.stack(frames)


def write(
    path: Path, frames: Frames, fps: Fraction = Fraction(24), threads: int = 1
) -> list[av.VideoFrame]:
    height, width = frames.shape[1:3]
    decoded: list[av.VideoFrame] = []
    with Encoder(path, width=width, height=height, fps=fps, comment="hello") as encoder:
        decoder = PacketDecoder(encoder, threads=threads)
        packets = [*chain(*(encoder.write(to_yuv(one)) for one in frames)), *encoder.flush()]
        encoder.close()
    for packet in packets:
        decoded.extend(decoder.decode(packet))
    decoded.extend(decoder.flush())
    return decoded


@pytest.mark.parametrize("count", [1, 2, 3, 25, 97])
def test_every_frame_comes_back_and_the_facts_are_as_promised(tmp_path: Path, count: int) -> None:
    path = tmp_path / "clip.mp4"
    decoded = write(path, moving_patches(count))
    facts = probe(path)
    assert len(decoded) == count
    assert facts.num_frames == count
    assert facts.fps == 24
    assert facts.constant_rate
    assert (facts.codec, facts.profile, facts.pixel_format) == ("h264", "High", "yuv420p")
    assert facts.closed_gop
    assert facts.max_gop <= gop_length(Fraction(24)) == 12
    assert facts.moov_first
    assert not facts.edit_list
    assert {facts.color_primaries, facts.color_transfer, facts.color_space} == {"bt709"}
    assert facts.color_range == "tv"
    assert not facts.audio


@pytest.mark.parametrize("threads", [1, 4])
def test_what_was_decoded_on_the_way_is_what_a_player_decodes(tmp_path: Path, threads: int) -> None:
    path = tmp_path / "clip.mp4"
    decoded = write(path, moving_patches(40), threads=threads)
    played = np.concatenate(list(open_clip(path).chunks))
    assert np.array_equal(np.stack([to_rgb(frame) for frame in decoded]), played)
    some = frames_at(path, {3, 39, 99})
    assert sorted(some) == [3, 39]
    assert all(np.array_equal(pixels, played[index]) for index, pixels in some.items())


def test_colours_survive(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    frames = moving_patches(5)
    write(path, frames)
    played = np.concatenate(list(open_clip(path).chunks))
    for patch in range(4):
        middle = 16 + 32 * patch + 2 * 4
        if middle >= 128:
            continue
        wanted = frames[4, 48, middle].astype(int)
        assert np.abs(played[4, 48, middle].astype(int) - wanted).max() <= 4


def test_the_same_frames_give_the_same_bytes(tmp_path: Path) -> None:
    one, other = tmp_path / "1.mp4", tmp_path / "2.mp4"
    write(one, moving_patches(30))
    write(other, moving_patches(30))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("fps", [Fraction(30000, 1001), Fraction(60), Fraction(1)])
def test_other_rates(tmp_path: Path, fps: Fraction) -> None:
    path = tmp_path / "clip.mp4"
    write(path, moving_patches(10), fps)
    facts = probe(path)
    assert facts.fps == fps
    assert facts.constant_rate
    assert facts.seconds == pytest.approx(float(10 / fps), abs=1e-3)


def test_another_ffmpeg_reads_it_without_a_word(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write(path, moving_patches(30))
    ffmpeg = imageio_ffmpeg.get_ffmpeg_exe()
    done = subprocess.run(
        [ffmpeg, "-v", "warning", "-i", str(path), "-f", "null", "-"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        write(tmp_path / "no" / "clip.mp4", moving_patches(60))


def test_qualities_are_ordered(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (6, 96, 128, 3), np.uint8)
    sizes = []
    for quality in ("draft", "standard", "high"):
        path = tmp_path / f"{quality}.mp4"
        with Encoder(path, width=128, height=96, fps=Fraction(24), quality=quality) as encoder:
            for _ in (*chain(*(encoder.write(to_yuv(one)) for one in frames)), *encoder.flush()):
                pass
            encoder.close()
        sizes.append(path.stat().st_size)
    assert sizes == sorted(sizes)
    assert set(ENCODINGS) == {"draft", "standard", "high"}


@pytest.mark.parametrize(
    "params",
    [
        ["-bf", "3", "-g", "10", "-x264-params", "open-gop=1:keyint=10:min-keyint=10:b-adapt=0"],
        ["-g", "1000", "-bf", "0"],
    ],
)
def test_some_frames_of_a_foreign_clip_are_those_that_playing_it_shows(
    tmp_path: Path, params: list[str]
) -> None:
    path = tmp_path / "clip.mp4"
    subprocess.run(
        [*FOREIGN, "testsrc2=s=160x96:r=24:d=2", "-c:v", "libx264", *params, str(path)],
        check=True,
    )
    played = np.concatenate(list(open_clip(path).chunks))
    assert len(played) == 48
    wanted = {0, 9, 10, 11, 30, 47, 48}
    found = frames_at(path, wanted)
    assert sorted(found) == sorted(wanted - {48})
    assert all(np.array_equal(pixels, played[index]) for index, pixels in found.items())


def test_some_frames_of_a_stream_without_times_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "clip.avi"
    subprocess.run(
        [*FOREIGN, "testsrc2=s=160x96:r=24:d=1", "-c:v", "mpeg4", "-bf", "2", "-g", "8", str(path)],
        check=True,
    )
    played = np.concatenate(list(open_clip(path).chunks))
    found = frames_at(path, {5, 20})
    assert sorted(found) == [5, 20]
    assert all(np.array_equal(pixels, played[index]) for index, pixels in found.items())


@pytest.mark.parametrize("width", [320, 720, 1080])
def test_x264_gives_the_same_bytes_at_any_width(tmp_path: Path, width: int) -> None:
    """Rows of macroblocks that are no multiple of eight made it read what nobody had written."""
    rng = np.random.default_rng(1)
    noise = rng.integers(0, 255, (260, width + 60, 3), np.uint8)
    wide = cv2.GaussianBlur(noise, (0, 0), 3).astype(np.uint8)
    frames = np.stack([wide[i : i + 180, 2 * i : 2 * i + width] for i in range(25)])
    found = set()
    for turn in range(12):
        path = tmp_path / f"{turn}.mp4"
        write(path, frames)
        found.add(path.read_bytes())
    assert len(found) == 1


def test_a_frame_is_one_slice(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write(path, moving_patches(8))
    assert b"sliced_threads=0" in path.read_bytes()
