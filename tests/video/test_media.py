"""Reading finished clips: facts, frames, colours, and every way a file can be wrong."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from clip_files import write_clip
from vivant.errors import ClipError
from vivant.types import Frames
from vivant.video.probe import probe
from vivant.video.reader import frames_at, open_clip, to_rgb


def ramp(count: int = 9, height: int = 96, width: int = 160) -> Frames:
    """Smooth moving gradients in all three channels."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack(
        [
            np.stack([x + t, 255 - x, y * 2 + t], axis=-1).clip(0, 255).astype(np.uint8)
            for t in range(count)
        ]
    )


def decoded(path: Path) -> Frames:
    return np.concatenate(list(open_clip(path).chunks))


def test_facts_of_a_plain_clip(tmp_path: Path) -> None:
    facts = probe(write_clip(tmp_path / "a.mp4", ramp()))
    assert (facts.width, facts.height, facts.num_frames) == (160, 96, 9)
    assert facts.fps == 24
    assert facts.seconds == pytest.approx(9 / 24)
    assert (facts.codec, facts.profile, facts.pixel_format) == ("h264", "High", "yuv420p")
    assert (facts.color_primaries, facts.color_transfer) == ("bt709", "bt709")
    assert (facts.color_space, facts.color_range) == ("bt709", "tv")
    assert facts.constant_rate
    assert facts.closed_gop
    assert facts.max_gop == 9
    assert facts.moov_first
    assert not facts.edit_list
    assert not facts.audio
    assert facts.size_bytes == (tmp_path / "a.mp4").stat().st_size


def test_the_index_at_the_end_is_seen(tmp_path: Path) -> None:
    assert not probe(write_clip(tmp_path / "a.mp4", ramp(), movflags="")).moov_first


def test_an_edit_list_is_seen_where_it_skips_something(tmp_path: Path) -> None:
    """With B-frames, a start at the first sample's composition time skips nothing."""
    path = write_clip(tmp_path / "a.mp4", ramp(), options={"bf": "2", "crf": "16"})
    data = bytearray(path.read_bytes())
    start = data.index(b"elst") + 16  # version, flags, count, duration, then the start
    assert int.from_bytes(data[start : start + 4], "big") > 0
    assert not probe(path).edit_list
    data[start : start + 4] = (1 << 12).to_bytes(4, "big")
    path.write_bytes(data)
    assert probe(path).edit_list


def test_an_edit_list_that_ends_early_breaks_nothing_off(tmp_path: Path) -> None:
    """Phones write one: the last frames are in the file, and are not shown."""
    path = write_clip(tmp_path / "a.mp4", ramp(13), options={"bf": "2", "crf": "16"})
    data = bytearray(path.read_bytes())
    ends = data.index(b"elst") + 12  # version, flags, count, then the duration
    shorter = int.from_bytes(data[ends : ends + 4], "big") - 84  # milliseconds: two frames
    data[ends : ends + 4] = shorter.to_bytes(4, "big")
    path.write_bytes(data)
    assert probe(path).num_frames == 11
    assert len(decoded(path)) == 11


def test_an_open_gop_is_seen(tmp_path: Path) -> None:
    options = {"x264-params": "open-gop=1:keyint=8:min-keyint=8:scenecut=0:bframes=3", "crf": "20"}
    facts = probe(write_clip(tmp_path / "a.mp4", ramp(40), options=options))
    assert not facts.closed_gop
    options["x264-params"] = options["x264-params"].replace("open-gop=1", "open-gop=0")
    facts = probe(write_clip(tmp_path / "b.mp4", ramp(40), options=options))
    assert facts.closed_gop
    assert facts.max_gop == 8


def test_a_variable_rate_is_seen(tmp_path: Path) -> None:
    times = [0, 1, 2, 4, 5, 8, 9, 10, 12]
    assert not probe(write_clip(tmp_path / "a.mp4", ramp(), times=times)).constant_rate


def test_a_coarse_time_base_is_still_constant(tmp_path: Path) -> None:
    facts = probe(write_clip(tmp_path / "a.mkv", ramp(25)))
    assert facts.constant_rate
    assert float(facts.fps) == pytest.approx(24, abs=0.01)


@pytest.mark.parametrize(
    ("tags", "name"), [((1, 1, 1, 1), "709"), ((6, 6, 6, 1), "601"), ((1, 1, 1, 2), "709 full")]
)
def test_colours_come_back(tmp_path: Path, tags: tuple[int, ...], name: str) -> None:
    frames = ramp(3)
    path = write_clip(tmp_path / "a.mp4", frames, tags=tags, options={"crf": "4", "bf": "0"})
    # Half the chroma and 8 bits each way: a level or two.
    apart = np.abs(decoded(path).astype(int) - frames)
    assert apart.mean() < 2.0, name


def test_untagged_clips_are_read_as_players_do(tmp_path: Path) -> None:
    flat = np.full((2, 96, 160, 3), (200, 60, 40), np.uint8)
    path = write_clip(tmp_path / "a.mp4", flat, tags=None, options={"crf": "4"})
    assert np.abs(decoded(path).astype(int) - flat).mean() < 2.0


@pytest.mark.parametrize(
    ("pixel_format", "profile"),
    [("yuv420p10le", "High 10"), ("yuv444p", "High 4:4:4 Predictive")],
)
def test_other_depths_and_subsamplings(tmp_path: Path, pixel_format: str, profile: str) -> None:
    frames = ramp(3)
    path = write_clip(tmp_path / "a.mp4", frames, pixel_format=pixel_format, options={"crf": "4"})
    assert probe(path).profile == profile
    assert np.abs(decoded(path).astype(int) - frames).mean() < 2.0


def test_odd_sizes_and_portrait(tmp_path: Path) -> None:
    frames = ramp(3, height=131, width=75)
    path = write_clip(tmp_path / "a.mp4", frames, pixel_format="yuv444p", options={"crf": "4"})
    assert decoded(path).shape == (3, 131, 75, 3)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotated_clips_stand_upright(tmp_path: Path, degrees: int) -> None:
    frames = ramp(3)
    path = write_clip(tmp_path / "a.mp4", frames, rotate=degrees, options={"crf": "4", "bf": "0"})
    facts = probe(path)
    seen = decoded(path)
    upright = (160, 96) if degrees == 180 else (96, 160)
    assert (facts.width, facts.height) == upright
    assert seen.shape[1:3] == (facts.height, facts.width)
    # FFmpeg's display matrix turns counter-clockwise.
    wanted = np.rot90(frames, degrees // 90, axes=(1, 2))
    assert np.abs(seen.astype(int) - wanted).mean() < 2.0


@pytest.mark.parametrize(
    ("aspect", "rotate", "shown"),
    [
        (Fraction(4, 3), 0, (213, 96)),
        (Fraction(8, 9), 0, (160, 108)),
        (Fraction(4, 3), 90, (96, 213)),
        (Fraction(240, 239), 0, (160, 96)),
    ],
)
def test_pixels_that_are_not_square_are_stretched_as_players_do(
    tmp_path: Path, aspect: Fraction, rotate: int, shown: tuple[int, int]
) -> None:
    path = write_clip(tmp_path / "a.mp4", ramp(3), pixel_aspect=aspect, rotate=rotate)
    facts = probe(path)
    assert (facts.width, facts.height) == shown
    assert facts.pixel_aspect == (1 if shown == (160, 96) else aspect)
    frames = decoded(path)
    assert frames.shape[1:3] == shown[::-1]
    some = frames_at(path, [1])[1]
    assert np.array_equal(some, frames[1])


def test_interlaced_frames_are_seen(tmp_path: Path) -> None:
    options = {"crf": "16", "bf": "0", "flags": "+ildct+ilme"}
    assert probe(write_clip(tmp_path / "a.mp4", ramp(3), options=options)).interlaced
    assert not probe(write_clip(tmp_path / "b.mp4", ramp(3))).interlaced


def test_the_codec_is_named_not_who_reads_it() -> None:
    path = Path(__file__).parents[1] / "data" / "av1.mp4"
    assert probe(path).codec == "av1"
    assert decoded(path).shape == (3, 96, 160, 3)


def test_a_clip_of_next_to_no_pixels_is_refused(tmp_path: Path) -> None:
    assert "at least 64" in refused(write_clip(tmp_path / "a.mp4", ramp(3, height=36, width=64)))


def test_decoding_is_the_same_as_of_the_encoders_packets(tmp_path: Path) -> None:
    """The pipeline decodes packets as they are encoded: the numbers must be equal to the digit."""
    path = write_clip(tmp_path / "a.mp4", ramp())
    with av.open(str(path)) as container:
        context = av.CodecContext.create("h264", "r")
        assert isinstance(context, av.VideoCodecContext)
        context.extradata = container.streams.video[0].codec_context.extradata
        frames = [
            to_rgb(frame)
            for packet in container.demux(video=0)
            for frame in context.decode(packet if packet.size else None)
        ]
    assert np.array_equal(np.stack(frames), decoded(path))


def test_closing_the_clip_early_is_fine(tmp_path: Path) -> None:
    clip = open_clip(write_clip(tmp_path / "a.mp4", ramp(60, 480, 640)))
    next(clip.chunks)
    clip.chunks.close()  # type: ignore[attr-defined]


def refused(path: Path) -> str:
    with pytest.raises(ClipError) as caught:
        decoded(path)
    message = caught.value.message
    assert "\n" not in message
    assert caught.value.exit_code == 2
    return message


def test_missing_directory_and_empty(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "none.mp4")
    assert "directory" in refused(tmp_path)
    (tmp_path / "empty.mp4").touch()
    assert "empty" in refused(tmp_path / "empty.mp4")


@pytest.mark.parametrize(
    "content",
    [
        b"just some words\n" * 50,
        b"\x89PNG\r\n\x1a\n" + bytes(400),
        b"#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n/etc/passwd\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=x\r\nm=video 5004 RTP/AVP 96\r\n",
        b"\x00\x00\x00\x18ftypmp42" + bytes(64),
    ],
    ids=["text", "picture", "playlist", "concat", "sdp", "header only"],
)
def test_what_is_not_a_video(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    assert "not a video" in refused(path) or "no video" in refused(path)


def test_audio_only(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        assert isinstance(stream, av.AudioStream)
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, 4096), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 48000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    assert "only sound" in refused(path)


@pytest.mark.parametrize(
    ("name", "movflags"),
    [("a.mp4", "faststart"), ("a.mp4", ""), ("a.mkv", ""), ("a.webm", ""), ("a.avi", "")],
)
@pytest.mark.parametrize("share", [0.3, 0.6, 0.97])
def test_truncated(tmp_path: Path, name: str, movflags: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (24, 96, 160, 3), np.uint8)
    codec = "libvpx-vp9" if name == "a.webm" else "libx264"
    whole = write_clip(tmp_path / name, noise, movflags=movflags, codec=codec)
    assert probe(whole).num_frames == 24
    data = whole.read_bytes()
    cut = tmp_path / f"cut-{name}"
    cut.write_bytes(data[: int(len(data) * share)])
    assert "truncated" in refused(cut) or "broken" in refused(cut)


def test_damaged_in_the_middle_never_escapes_as_something_else(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (12, 96, 160, 3), np.uint8)
    data = bytearray(write_clip(tmp_path / "a.mp4", noise).read_bytes())
    rng = np.random.default_rng(1)
    for trial in range(12):
        spoiled = bytearray(data)
        for at in rng.integers(48, len(data), 40):
            spoiled[at] = int(rng.integers(0, 256))
        path = tmp_path / f"{trial}.mp4"
        path.write_bytes(spoiled)
        try:
            decoded(path)
        except ClipError as error:
            assert "\n" not in error.message


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused_with_a_remedy(tmp_path: Path, transfer: int, name: str) -> None:
    path = write_clip(
        tmp_path / "a.mp4", ramp(3), pixel_format="yuv420p10le", tags=(9, transfer, 9, 1)
    )
    message = refused(path)
    assert name in message
    assert "SDR" in message
