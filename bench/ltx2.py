# mypy: disable-error-code="arg-type,assignment,call-overload,operator,no-untyped-call"
"""LTX-2 at real size on one GPU: Vivant beside stock diffusers, in one run.

Random weights: they are as fast as trained ones, and decode to noise. The stages after decoding
are therefore timed on the decoder's own cadence with the frames of a real picture's ``camera``
clip. Medians of three warm clips. Every figure goes to ``--out`` as it is measured;
``--table`` prints the rows of ``docs/benchmarks.md`` from such a file. ``--tiny`` rehearses
the whole script on a CPU. The part ``seeds`` is made only where it is asked for.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vivant.checks import keep_workers
from vivant.engines.ltx2.engine import UNGUIDED, LTX2Engine
from vivant.engines.ltx2.recipes import SEED_SIGMAS
from vivant.settings import Settings
from vivant.types import (
    Box,
    Clip,
    EngineInfo,
    Frames,
    Observer,
    Portrait,
    Progress,
    Request,
    Source,
    ignore_progress,
)

GIB = 2**30
DEFAULT_PARTS = "vivant,frames,files,encode,start,precision,fp8,swap,stock,stock-native"


class Bench:
    """Results, written as they come."""

    def __init__(self, out: Path, device: torch.device) -> None:
        self.out, self.device = out, device
        self.results: dict[str, Any] = {}
        self.started = time.perf_counter()

    def note(self, name: str, value: Any) -> None:
        """Keep and print one figure."""
        self.results[name] = value
        print(f"[{time.perf_counter() - self.started:6.1f}] {name}: {value}", flush=True)
        self.out.write_text(json.dumps(self.results, indent=1))

    def sync(self) -> None:
        """Wait for the GPU."""
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def reset_peak(self) -> None:
        """Start a new measurement of GPU memory."""
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()

    def peak(self) -> float:
        """Most GPU memory allocated since, GiB."""
        if self.device.type != "cuda":
            return 0.0
        return round(torch.cuda.max_memory_allocated() / GIB, 2)


def picture() -> Any:
    """A real portrait: Eileen Collins, NASA, public domain."""
    from skimage.data import astronaut

    return astronaut()


def portrait(width: int, height: int) -> Portrait:
    """The picture, framed without a face detector."""
    pixels = picture()
    aspect = width / height
    size = pixels.shape[0]
    crop = Box(0, 0, size, size / aspect) if aspect > 1 else Box(0, 0, size * aspect, size)
    return Portrait(
        pixels=pixels,
        crop=crop,
        faces=(),
        source=Source("astronaut", "PNG", size, size, 1, "0" * 64),
    )


class Clock:
    """An observer that notes when the last denoising step was really over."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.denoised = 0.0
        self.first = 0.0
        self.last: dict[str, float] = {}

    def __call__(self, progress: Progress) -> None:
        """See ``vivant.types.Observer``."""
        self.last[progress.stage] = time.perf_counter()
        if progress.stage == "generate" and progress.unit == "step":
            if progress.done == 1:
                self.bench.sync()
                self.first = time.perf_counter()
            if progress.done == progress.total:
                self.bench.sync()
                self.denoised = time.perf_counter()


class Cadence:
    """An engine whose frames come when the inner engine's do, and show a real picture."""

    def __init__(self, inner: LTX2Engine, frames: Frames) -> None:
        self.inner, self.frames = inner, frames

    @property
    def info(self) -> EngineInfo:
        """The inner engine's."""
        return self.inner.info

    def generate(self, portrait: Portrait, request: Request, observe: Observer) -> Clip:
        """The inner engine's clip, its frames replaced."""
        clip = self.inner.generate(portrait, request, observe)

        def chunks() -> Iterator[Frames]:
            done = 0
            for chunk in clip.chunks:
                yield self.frames[done : done + len(chunk)]
                done += len(chunk)

        return replace(clip, chunks=chunks())


def camera_frames(width: int, height: int, num_frames: int) -> Frames:
    """A ``camera`` clip of the picture at an engine's grid."""
    from vivant.engines.camera import CameraEngine

    request = Request(image=b"", num_frames=num_frames, width=width, height=height)
    clip = CameraEngine().generate(portrait(width, height), request, ignore_progress)
    return np.concatenate(list(clip.chunks))


def median(values: list[float]) -> float:
    """Rounded to milliseconds."""
    return round(statistics.median(values), 3)


def clip_times(
    bench: Bench, engine: LTX2Engine, request: Request, reps: int, clips: int = 1
) -> dict[str, Any]:
    """Generate and decode to frames on the CPU; seconds of all ``clips``, after one warm-up."""
    shot = portrait(request.width, request.height)
    rows: dict[str, list[float]] = {"total": [], "denoise": [], "decode": []}
    warm = 0.0
    for rep in range(reps + 1):
        clock = Clock(bench)
        if rep == 1:
            bench.reset_peak()
        start = time.perf_counter()
        for clip in engine.generate_many(shot, request, tuple(range(clips)), clock):
            for _ in clip.chunks:
                pass
        bench.sync()
        end = time.perf_counter()
        if not rep:
            warm = end - start
            continue
        rows["total"].append(end - start)
        rows["denoise"].append(clock.denoised - start)
        rows["decode"].append(end - clock.denoised)
    return {
        **{name: median(values) for name, values in rows.items()},
        "spread": round(max(rows["total"]) - min(rows["total"]), 3),
        "first_call": round(warm, 1),
        "peak_gib": bench.peak(),
    }


@keep_workers()
def file_times(
    bench: Bench, engine: LTX2Engine, request: Request, frames: Frames, folder: Path, reps: int
) -> dict[str, Any]:
    """Picture file → finished MP4 and report, through Vivant's own pipeline; seconds.

    As a service makes its next clip: engine, face reader and workers are there.
    """
    from vivant.pipeline import ClipJob
    from vivant.upscalers import load_upscaler

    rows: dict[str, list[float]] = {"total": [], "first_step": [], "after_denoise": [], "image": []}
    marks: dict[str, list[float]] = {}
    stages: dict[str, list[float]] = {}
    for rep in range(reps + 1):
        clock = Clock(bench)
        if rep == 1:
            bench.reset_peak()
        start = time.perf_counter()
        upscaler = load_upscaler("auto")
        job = ClipJob(request, Cadence(engine, frames), upscaler, engine.loader.settings, clock)
        result = job.run(folder / "clip.mp4", force=True)
        end = time.perf_counter()
        if not rep:
            continue
        rows["total"].append(end - start)
        rows["first_step"].append(clock.first - start)
        rows["after_denoise"].append(end - clock.denoised)
        for taken in result.report.stages:
            stages.setdefault(taken.stage, []).append(taken.seconds)
        rows["image"].append(stages["image"][-1])
        for stage in ("generate", "upscale", "encode", "verify"):
            if stage in clock.last:
                marks.setdefault(stage, []).append(clock.last[stage] - clock.denoised)
    return {
        **{name: median(values) for name, values in rows.items()},
        "busy": {name: median(values) for name, values in stages.items()},
        "last_after_denoise": {name: median(values) for name, values in marks.items()},
        "upscaler": result.report.upscaler,
        "peak_gib": bench.peak(),
        "bytes": (folder / "clip.mp4").stat().st_size,
        "verdict": result.verdict,
    }


def encode_times(
    bench: Bench, engine: LTX2Engine, request: Request, frames: Frames, folder: Path, reps: int
) -> dict[str, Any]:
    """As :func:`file_times` without verification: generate, upscale, encode; seconds."""
    from vivant.upscalers import load_upscaler
    from vivant.video.cores import usable_cores
    from vivant.video.writer import VideoWriter

    shot = portrait(request.width, request.height)
    totals, first, after = [], [], []
    for rep in range(reps + 1):
        clock = Clock(bench)
        start = time.perf_counter()
        clip = Cadence(engine, frames).generate(shot, request, clock)
        if (clip.width, clip.height) != (request.width, request.height):
            clip = load_upscaler("lanczos-gpu").upscale(
                clip, width=request.width, height=request.height, observe=ignore_progress
            )
        with VideoWriter(
            folder / "plain.mp4",
            width=request.width,
            height=request.height,
            fps=request.fps,
            quality="standard",
            comment="",
            cores=usable_cores(),
            on_written=lambda _: None,
            on_decoded=None,
        ) as film:
            for chunk in clip.chunks:
                film.put(chunk)
            film.close()
            film.finish()
        end = time.perf_counter()
        if rep:
            totals.append(end - start)
            first.append(clock.first - start)
            after.append(end - clock.denoised)
    return {"total": median(totals), "first_step": median(first), "after_denoise": median(after)}


def psnr(a: Frames, b: Frames) -> float:
    """Peak signal-to-noise ratio of 8-bit frames, dB."""
    error = np.mean((a.astype(np.float32) - b.astype(np.float32)) ** 2)
    return round(float(10 * np.log10(255**2 / max(error, 1e-9))), 2)


def requests(tiny: bool) -> dict[str, Request]:
    """The recipes, as they are asked for."""
    options: dict[str, Any] = {"weights": "tiny" if tiny else "random"}
    frames = 17 if tiny else 97
    base = Request(image=b"", num_frames=frames, width=1920, height=1080, fps=Fraction(24))
    if tiny:
        options["grid"] = "128x64"
        base = replace(base, width=192, height=108)
    made = {}
    for name in ("seed", "fast", "native"):
        made[name] = replace(base, options={**options, "recipe": name})
    return made


def vivant(bench: Bench, args: Any, settings: Settings, device: torch.device) -> None:
    """Vivant's own figures."""
    asked = requests(args.tiny)
    more = dict(item.split("=") for item in args.set.split(",") if item)
    asked = {
        name: replace(request, options={**request.options, **more})
        for name, request in asked.items()
    }
    recipes = args.recipes.split(",")
    frames: dict[tuple[int, int], Frames] = {}

    def draw() -> None:
        for name in ("fast", "native"):
            size = grid(asked[name])
            frames[size] = camera_frames(*size, asked[name].num_frames)

    drawing = threading.Thread(target=draw)
    drawing.start()
    file = Path(tempfile.mkdtemp()) / "astronaut.png"
    from PIL import Image as PillowImage

    PillowImage.fromarray(picture()).save(file)
    engine = LTX2Engine(settings, device)
    seed = asked["seed"]
    quiet = replace(seed, options={**seed.options, "nag": False})
    if "frames" in args.parts:
        if "precision" in args.parts:
            bench.note("seed, nag off", clip_times(bench, engine, quiet, args.reps))
            fp8_frames = np.concatenate(
                list(engine.generate(portrait(16, 9), quiet, ignore_progress).chunks)
            )
        for name in recipes:
            bench.note(name, clip_times(bench, engine, asked[name], args.reps))
    for count in (1, 2, 4) if "seeds" in args.parts else ():
        found = clip_times(bench, engine, asked["fast"], args.reps, clips=count)
        found["seconds_per_clip"] = round(found["total"] / count, 3)
        bench.note(f"fast, {count} seeds in one call", found)
    drawing.join()
    for part, name, times in (
        ("files", "→ MP4", file_times),
        ("encode", "→ MP4, unverified", encode_times),
    ):
        for recipe in ("fast", "native") if part in args.parts else ():
            if recipe not in recipes:
                continue
            request = replace(asked[recipe], image=file)
            shown = frames[grid(request)]
            try:
                bench.note(
                    f"{recipe} {name}",
                    times(bench, engine, request, shown, file.parent, args.reps),
                )
            except Exception as error:  # noqa: BLE001 - the other figures matter too
                bench.note(f"{recipe} {name} failed", repr(error)[:500])
    if "start" in args.parts:
        start_time(bench, args, engine, seed, settings)
    if "precision" in args.parts and "frames" in args.parts:
        engine.loader.forget()
        plain = replace(quiet, options={**quiet.options, "precision": "bf16", "compile": False})
        exact = np.concatenate(
            list(engine.generate(portrait(16, 9), plain, ignore_progress).chunks)
        )
        bench.note("fp8 vs bf16, decoded frames PSNR dB", psnr(fp8_frames, exact))
        bench.note(
            "fp8 vs bf16, frames PSNR dB by fifth",
            [psnr(fp8_frames[i], exact[i]) for i in range(0, len(exact), max(1, len(exact) // 5))],
        )
    engine.loader.forget()
    for part, tier, card, room in (("fp8", "fp8", 48, 46), ("swap", "swap", 24, 22)):
        if part in args.parts:
            held_tier(bench, asked, settings, device, tier, card, room)


def grid(request: Request) -> tuple[int, int]:
    """What the engine will generate at."""
    from vivant.engines.ltx2.options import LTX2Options

    options = LTX2Options.from_request(request)
    return options.width, options.height


def held_tier(
    bench: Bench,
    asked: Any,
    settings: Settings,
    device: torch.device,
    tier: str,
    card: int,
    room: int,
) -> None:
    """A smaller card's tier, held to what it has free: ``card`` and ``room`` in GiB."""
    import gc

    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        total = torch.cuda.get_device_properties(device).total_memory
        torch.cuda.set_per_process_memory_fraction(room * GIB / total)
    engine = LTX2Engine(settings, device)
    for name in ("fast", "native"):
        request = replace(asked[name], options={**asked[name].options, "tier": tier})
        try:
            found = clip_times(bench, engine, request, 1)
            if device.type == "cuda":
                found["reserved_gib"] = round(torch.cuda.max_memory_reserved() / GIB, 2)
            bench.note(f"{name}, {card} GB tier", found)
        except Exception as error:  # noqa: BLE001
            bench.note(f"{name}, {card} GB tier failed", repr(error)[:500])
    engine.loader.forget()
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction(1.0)


def start_time(
    bench: Bench, args: Any, engine: LTX2Engine, request: Request, settings: Settings
) -> None:
    """A fresh process, fp8 checkpoint on local disk, warm compile cache: seconds to a clip."""
    from safetensors.torch import save_file

    from vivant.engines.ltx2.fp8_checkpoint import save_fp8
    from vivant.engines.ltx2.prompts import PromptCache
    from vivant.weights import FP8_FOLDER, LOCK

    if args.tiny:
        bench.note("start", "not measured with tiny models")
        return
    folder = settings.weights_path / "ltx-2-19b-distilled"
    begin = time.perf_counter()
    parts = engine.loaded.parts
    size = save_fp8(parts.transformer, folder / FP8_FOLDER)
    (folder / "vae").mkdir()
    save_file(
        {k: v.cpu().contiguous() for k, v in parts.vae.state_dict().items()},
        folder / "vae" / "model.safetensors",
    )
    config = {k: v for k, v in parts.vae.config.items() if not k.startswith("_")}
    (folder / "vae" / "config.json").write_text(json.dumps(config))
    files = [p for p in folder.rglob("*") if p.is_file()]
    (folder / LOCK).write_text(
        json.dumps(
            {
                "files": {
                    str(p.relative_to(folder)): {
                        "repo": "bench",
                        "commit": "0",
                        "size": p.stat().st_size,
                        "sha256": "",
                    }
                    for p in files
                }
            }
        )
    )
    cache = PromptCache(
        settings.cache_dir / "prompts",
        {"model": "ltx-2-19b-distilled", "commits": "0", "dtype": str(torch.bfloat16)},
    )
    texts = (request.prompt, request.negative_prompt)
    for text, embedding in zip(texts, parts.text(texts), strict=True):
        cache.put(text, embedding)
    bench.note(
        "fp8 checkpoint",
        {"gb": round(size / 1e9, 2), "write_s": round(time.perf_counter() - begin, 1)},
    )
    del parts
    engine.loader.forget()  # the new process needs the GPU's memory
    save_frames(settings.cache_dir)
    environment = with_bytecode(bench, settings.cache_dir / "bytecode")
    for label, drop in (("cold files", True), ("files in page cache", False)):
        if drop:
            subprocess.run("sync; echo 3 > /proc/sys/vm/drop_caches", shell=True, check=False)
        process_time(bench, label, settings, environment)


def save_frames(folder: Path) -> None:
    """Picture and frames for ``ltx2_process.py``."""
    from PIL import Image as PillowImage

    PillowImage.fromarray(picture()).save(folder / "astronaut.png")
    request = requests(False)["fast"]
    np.save(folder / "frames.npy", camera_frames(*grid(request), request.num_frames))


def process_time(bench: Bench, label: str, settings: Settings, environment: dict[str, str]) -> None:
    """``ltx2_process.py``: seconds from its start to a verified MP4, and on the way there."""
    begin = time.perf_counter()
    done = subprocess.run(
        [
            *(sys.executable, "-W", "ignore"),
            str(Path(__file__).parent / "ltx2_process.py"),
            *("--picture", str(settings.cache_dir / "astronaut.png")),
            *("--frames", str(settings.cache_dir / "frames.npy")),
            *("--cache", str(settings.cache_dir), "--data", str(settings.data_dir)),
        ],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    wall = time.perf_counter() - begin
    lines = [row for row in done.stdout.splitlines() if row.startswith(("PROCESS", "IMPORTED"))]
    if not lines:
        bench.note(f"start, {label} failed", done.stderr[-1500:])
        return
    bench.note(f"start, {label}", json.loads(lines[0].partition(" ")[2]))
    bench.note(f"start, {label}, whole process", [round(wall, 1), *lines[1:]])


def with_bytecode(bench: Bench, folder: Path) -> dict[str, str]:
    """The environment of a start with compiled libraries, as images and earlier starts leave them.

    What is installed may have none, and Python may be told to write none: then every start
    compiles 5,000 files, which no installation of Vivant's does.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPYCACHEPREFIX"] = str(folder)
    places = [sysconfig.get_paths()[name] for name in ("stdlib", "purelib", "platlib")]
    places.append(str(Path(__file__).resolve().parent.parent / "src"))
    begin = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "compileall", "-q", "-j", "0", *dict.fromkeys(places)],
        env=environment,
        capture_output=True,
        check=False,  # templates of other packages are no Python
    )
    size = sum(path.stat().st_size for path in folder.rglob("*.pyc"))
    bench.note(
        "bytecode",
        {"mb": round(size / 1e6), "compile_s": round(time.perf_counter() - begin, 1)},
    )
    return environment


def stock(bench: Bench, args: Any, device: torch.device) -> None:
    """Stock diffusers: image-to-video, ten steps, guidance really off; then the two stages."""
    from diffusers import (
        FlowMatchEulerDiscreteScheduler,
        LTX2ConditionPipeline,
        LTX2ImageToVideoPipeline,
    )
    from diffusers.models.autoencoders.autoencoder_kl_ltx2 import AutoencoderKLLTX2Video
    from diffusers.models.autoencoders.autoencoder_kl_ltx2_audio import AutoencoderKLLTX2Audio
    from diffusers.models.transformers.transformer_ltx2 import LTX2VideoTransformer3DModel
    from diffusers.pipelines.ltx2.connectors import LTX2TextConnectors
    from diffusers.pipelines.ltx2.latent_upsampler import LTX2LatentUpsamplerModel
    from diffusers.pipelines.ltx2.pipeline_ltx2_condition import LTX2VideoCondition
    from diffusers.pipelines.ltx2.pipeline_ltx2_latent_upsample import LTX2LatentUpsamplePipeline
    from diffusers.pipelines.ltx2.vocoder import LTX2Vocoder
    from PIL import Image as PillowImage

    from vivant.engines.ltx2 import tiny
    from vivant.engines.ltx2.architecture import LTX_2_0, TINY_2_0
    from vivant.engines.ltx2.recipes import DISTILLED_SIGMAS, REFINE_SIGMAS

    dtype = torch.float32 if args.tiny else torch.bfloat16

    def make(cls: Any, small: Any, full: Any) -> Any:
        return tiny.build(cls, small if args.tiny else full, device=device, dtype=dtype)

    vae = make(AutoencoderKLLTX2Video, TINY_2_0.vae, LTX_2_0.vae)
    small_audio = {"base_channels": 4, "ch_mult": (1, 1, 1), "latent_channels": 2, "mel_bins": 8}
    _ = LTX2Vocoder
    shared: dict[str, Any] = {
        "scheduler": FlowMatchEulerDiscreteScheduler(),
        "vae": vae,
        "audio_vae": AutoencoderKLLTX2Audio(**small_audio if args.tiny else {}).to(device, dtype),
        "text_encoder": None,
        "tokenizer": None,
        "connectors": make(LTX2TextConnectors, TINY_2_0.connectors, LTX_2_0.connectors),
        "transformer": make(LTX2VideoTransformer3DModel, TINY_2_0.transformer, LTX_2_0.transformer),
        "vocoder": None,
    }
    tokens, channels = (16, 48) if args.tiny else (1024, 3840 * 49)
    common: dict[str, Any] = {
        **UNGUIDED,
        "num_frames": 17 if args.tiny else 97,
        "frame_rate": 24.0,
        "prompt_embeds": torch.randn(1, tokens, channels, device=device, dtype=dtype),
        "prompt_attention_mask": torch.ones(1, tokens, dtype=torch.long, device=device),
        "output_type": "latent",
        "return_dict": False,
    }
    image = PillowImage.fromarray(picture())
    pipe = LTX2ImageToVideoPipeline(**shared)
    refine = LTX2ConditionPipeline(**shared)
    for each in (pipe, refine):
        each.set_progress_bar_config(disable=True)
    width, height = (128, 64) if args.tiny else (1280, 704)

    def decode(latents: Any) -> Any:
        # the pipelines' own decoding, without the audio nobody hears here
        with torch.no_grad():
            frames = vae.decode(latents.to(dtype), None, return_dict=False)[0]
        return pipe.video_processor.postprocess_video(frames, output_type="np")

    def one() -> None:
        latents, _ = pipe(
            image=image,
            width=width,
            height=height,
            sigmas=list(SEED_SIGMAS),
            image_crf=33,
            generator=torch.Generator().manual_seed(0),
            **common,
        )
        bench.sync()
        marks.append(time.perf_counter())
        decode(latents)

    marks: list[float] = []
    bench.reset_peak()
    bench.note("stock seed", timed(bench, one, marks, args.reps))
    if "stock-native" not in args.parts:
        return
    full = (128, 128) if args.tiny else (1920, 1088)
    upsampler = make(LTX2LatentUpsamplerModel, TINY_2_0.upsampler, LTX_2_0.upsampler)
    upsample = LTX2LatentUpsamplePipeline(vae=vae, latent_upsampler=upsampler)

    def two() -> None:
        generator = torch.Generator().manual_seed(0)
        latents, audio = pipe(
            image=image,
            width=full[0] // 2,
            height=full[1] // 2,
            sigmas=list(DISTILLED_SIGMAS),
            image_crf=33,
            generator=generator,
            **common,
        )
        (latents,) = upsample(latents=latents, output_type="latent", return_dict=False)
        latents, _ = refine(
            conditions=[LTX2VideoCondition(frames=image, index=0, strength=1.0, crf=33)],
            latents=latents,
            audio_latents=audio,
            width=full[0],
            height=full[1],
            sigmas=list(REFINE_SIGMAS),
            generator=generator,
            **common,
        )
        bench.sync()
        marks.append(time.perf_counter())
        decode(latents)

    marks = []
    bench.reset_peak()
    bench.note("stock native", timed(bench, two, marks, args.reps))


def timed(bench: Bench, work: Callable[[], None], marks: list[float], reps: int) -> dict[str, Any]:
    """Medians of a pipeline's total, denoising and decoding seconds."""
    totals, denoise, decode = [], [], []
    for rep in range(reps + 1):
        start = time.perf_counter()
        work()
        bench.sync()
        end = time.perf_counter()
        if rep:
            totals.append(end - start)
            denoise.append(marks[-1] - start)
            decode.append(end - marks[-1])
    return {
        "total": median(totals),
        "denoise": median(denoise),
        "decode": median(decode),
        "spread": round(max(totals) - min(totals), 3),
        "peak_gib": bench.peak(),
    }


def main() -> None:
    """Run, or print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("ltx2.json"))
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--commit", default="")
    parser.add_argument("--parts", default=DEFAULT_PARTS)
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--gpus", type=int, default=1)
    parser.add_argument("--recipes", default="seed,fast,native")
    parser.add_argument("--set", default="", help="engine options for all, name=value,…")
    parser.add_argument("--cache", type=Path, default=None)
    parser.add_argument("--data", type=Path, default=None, help="keeps the checkpoint of `start`")
    args = parser.parse_args()
    args.parts = args.parts.split(",")
    device = torch.device("cpu" if args.tiny else "cuda")
    bench = Bench(args.out, device)
    bench.note("commit", args.commit)
    bench.note("torch", torch.__version__)
    if device.type == "cuda":
        bench.note("device", torch.cuda.get_device_name())
    scratch = Path(tempfile.mkdtemp())
    settings = Settings(
        cache_dir=args.cache or scratch / "cache",
        data_dir=args.data or scratch / "data",
        gpus=args.gpus,
    )
    if "vivant" in args.parts:
        vivant(bench, args, settings, device)
    import gc

    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
    if "stock" in args.parts:
        stock(bench, args, device)
    bench.note("seconds", round(time.perf_counter() - bench.started, 1))


if __name__ == "__main__":
    main()
