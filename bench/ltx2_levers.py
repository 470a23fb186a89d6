# mypy: disable-error-code="arg-type,assignment,call-overload,operator,no-untyped-call"
"""What each lever brings: one transformer step and one VAE decode of LTX-2 at real size.

Random weights: they are as fast as trained ones. Every figure is printed as it is measured and
written to ``--out`` at once. ``--tiny`` rehearses the same script on a CPU.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl_ltx2 import AutoencoderKLLTX2Video
from diffusers.models.transformers.transformer_ltx2 import LTX2VideoTransformer3DModel

from vivant.engines.ltx2 import attention, fp8, tiny
from vivant.engines.ltx2.architecture import LTX_2_0, TINY_2_0
from vivant.engines.ltx2.conditioning import clip_coords
from vivant.engines.ltx2.conditioning import statistics as latent_statistics
from vivant.engines.ltx2.decode import decode, prepare, to_bytes, to_frames
from vivant.engines.ltx2.transformer import Denoiser

GRIDS = {"704p": (13, 22, 40), "half": (13, 17, 30), "1088p": (13, 34, 60)}
TINY_GRIDS = {"704p": (3, 3, 4), "half": (3, 2, 3), "1088p": (3, 4, 6)}


class Bench:
    """Results, written as they come."""

    def __init__(self, out: Path, device: torch.device) -> None:
        self.out, self.device = out, device
        self.results: dict[str, Any] = {}

    def note(self, name: str, value: Any) -> None:
        self.results[name] = value
        print(f"{name}: {value}", flush=True)
        self.out.write_text(json.dumps(self.results, indent=1))

    def sync(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def time(self, name: str, work: Callable[[], Any], *, reps: int = 3, warm: int = 1) -> float:
        start = time.perf_counter()
        for _ in range(warm):
            work()
        self.sync()
        warmed = time.perf_counter() - start
        times = []
        for _ in range(reps):
            self.sync()
            start = time.perf_counter()
            work()
            self.sync()
            times.append((time.perf_counter() - start) * 1000)
        median = statistics.median(times)
        self.note(
            name, {"ms": round(median, 2), "min": round(min(times), 2), "warm_s": round(warmed, 1)}
        )
        return median


def profile(work: Callable[[], Any], path: Path) -> None:
    from torch.profiler import ProfilerActivity
    from torch.profiler import profile as record

    with record(activities=[ProfilerActivity.CUDA, ProfilerActivity.CPU]) as prof:
        work()
        torch.cuda.synchronize()
    path.write_text(
        prof.key_averages().table(sort_by="cuda_time_total", row_limit=60, max_name_column_width=90)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("levers.json"))
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--parts", default="micro,vae,dit")
    args = parser.parse_args()
    device = torch.device("cpu" if args.tiny else "cuda")
    dtype = torch.float32 if args.tiny else torch.bfloat16
    grids = TINY_GRIDS if args.tiny else GRIDS
    bench = Bench(args.out, device)
    parts = args.parts.split(",")
    bench.note("torch", torch.__version__)
    if device.type == "cuda":
        bench.note("device", torch.cuda.get_device_name())
        bench.note("cudnn", torch.backends.cudnn.version())
        import triton

        bench.note("triton", triton.__version__)
    torch.manual_seed(0)
    if "micro" in parts and device.type == "cuda":
        micro(bench)
    if "vae" in parts:
        vae(bench, grids, device, dtype, args)
    if "dit" in parts:
        dit(bench, grids, device, dtype, args)


def micro(bench: Bench) -> None:
    for tokens in (6630, 11440, 26520):
        q, k, v = (
            torch.randn(1, tokens, 32, 128, device="cuda", dtype=torch.bfloat16) for _ in range(3)
        )
        for backend in ("cudnn", "flash"):
            with attention.using(backend):
                ms = bench.time(
                    f"attention {tokens} {backend}", lambda: attention.attend(q, k, v), reps=5
                )
            bench.note(
                f"attention {tokens} {backend} TFLOP/s", round(4 * tokens**2 * 4096 / ms / 1e9, 1)
            )
    for m, k, n in (
        (11440, 4096, 4096),
        (11440, 4096, 12288),
        (11440, 4096, 16384),
        (11440, 16384, 4096),
    ):
        x = torch.randn(m, k, device="cuda", dtype=torch.bfloat16)
        w = torch.randn(n, k, device="cuda", dtype=torch.bfloat16)
        xq, xs = fp8.quantize_rows(x)
        wq, ws = fp8.quantize_rows(w)
        bias = torch.randn(n, device="cuda", dtype=torch.bfloat16)
        for name, kw in (("bias", {"bias": bias}), ("plain", {})):

            def mm(kw: Any = kw) -> Any:
                for _ in range(10):
                    out = torch._scaled_mm(
                        xq,
                        wq.t(),
                        scale_a=xs,
                        scale_b=ws.t(),
                        out_dtype=torch.bfloat16,
                        use_fast_accum=True,
                        **kw,
                    )
                return out

            ms = bench.time(f"fp8 rowwise {m}x{k}x{n} {name} x10", mm) / 10
            bench.note(
                f"fp8 rowwise {m}x{k}x{n} {name} TFLOP/s", round(2 * m * k * n / ms / 1e9, 1)
            )
        one = torch.ones((), device="cuda")

        def mmt() -> Any:
            for _ in range(10):
                out = torch._scaled_mm(
                    xq,
                    wq.t(),
                    scale_a=one,
                    scale_b=one,
                    out_dtype=torch.bfloat16,
                    use_fast_accum=True,
                )
            return out

        ms = bench.time(f"fp8 tensorwise {m}x{k}x{n} x10", mmt) / 10
        bench.note(f"fp8 tensorwise {m}x{k}x{n} TFLOP/s", round(2 * m * k * n / ms / 1e9, 1))
        ms = bench.time(f"bf16 {m}x{k}x{n}", lambda: x @ w.t(), reps=5)
        bench.note(f"bf16 {m}x{k}x{n} TFLOP/s", round(2 * m * k * n / ms / 1e9, 1))


def vae(bench: Bench, grids: Any, device: torch.device, dtype: torch.dtype, args: Any) -> None:
    config = TINY_2_0.vae if args.tiny else LTX_2_0.vae
    model = tiny.build(AutoencoderKLLTX2Video, config, device=device, dtype=dtype)
    for name in ("704p", "1088p"):
        frames, rows, columns = grids[name]
        z = torch.randn(1, model.config.latent_channels, frames, rows, columns)
        mean, std = latent_statistics(model, device)
        zd = (z.to(device) * std + mean).to(dtype)

        def stock() -> Any:
            with torch.no_grad():
                return model.decode(zd, None, return_dict=False)[0]

        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        bench.time(f"decode {name} stock", stock, reps=2)
        if device.type == "cuda":
            bench.note(
                f"decode {name} stock peak GiB", round(torch.cuda.max_memory_allocated() / 2**30, 2)
            )
        if name == "704p":
            reference = stock().float().cpu()
    prepare(model)
    for name in ("704p", "1088p"):
        frames, rows, columns = grids[name]
        z = torch.randn(1, model.config.latent_channels, frames, rows, columns)
        for chunk in (2, 4, 8, 16):
            if device.type == "cuda":
                torch.cuda.reset_peak_memory_stats()
            bench.time(
                f"decode {name} stream chunk {chunk}",
                lambda: [f.shape for f in to_frames(map(to_bytes, decode(model, z, chunk=chunk)))],
                reps=2,
            )
            if device.type == "cuda":
                bench.note(
                    f"decode {name} stream chunk {chunk} peak GiB",
                    round(torch.cuda.max_memory_allocated() / 2**30, 2),
                )
    frames, rows, columns = grids["704p"]
    z = zd = None
    torch.manual_seed(1)
    z = torch.randn(1, model.config.latent_channels, frames, rows, columns)
    mean, std = latent_statistics(model, device)
    with torch.no_grad():
        ours = torch.cat([p.float().cpu() for p in decode(model, z, chunk=4)], 2)
        reference = (
            model.decode((z.to(device) * std + mean).to(dtype), None, return_dict=False)[0]
            .float()
            .cpu()
        )
    error = (ours - reference).norm() / reference.norm()
    bench.note("decode stream vs stock relative", float(error))
    if device.type == "cuda":
        z8 = z
        profile(
            lambda: [f.shape for f in to_frames(map(to_bytes, decode(model, z8, chunk=8)))],
            args.out.with_name("vae_profile.txt"),
        )


def dit(bench: Bench, grids: Any, device: torch.device, dtype: torch.dtype, args: Any) -> None:
    config = TINY_2_0.transformer if args.tiny else LTX_2_0.transformer
    start = time.perf_counter()
    model = tiny.build(LTX2VideoTransformer3DModel, config, device=device, dtype=dtype)
    bench.sync()
    bench.note("build s", round(time.perf_counter() - start, 1))
    bench.note("parameters", sum(p.numel() for p in model.parameters()))
    channels, caption = model.config.in_channels, model.config.caption_channels
    length = 8 if args.tiny else 1024
    text = tuple(torch.randn(1, length, caption, device=device, dtype=dtype) for _ in range(2))
    negative = tuple(torch.randn(1, length, caption, device=device, dtype=dtype) for _ in range(2))
    nag = torch.tensor([5.0, 2.5, 0.25], device=device)

    def inputs(name: str) -> Any:
        frames, rows, columns = grids[name]
        tokens = frames * rows * columns
        generator = torch.Generator().manual_seed(0)
        latents = torch.randn(1, tokens, channels, generator=generator).to(device)
        audio = torch.randn(1, 101, channels, generator=generator).to(device)
        mask = torch.zeros(tokens)
        mask[: rows * columns] = 1
        return frames, rows, columns, latents, audio, mask

    def stepper(denoiser: Denoiser, name: str, guided: bool) -> Callable[[], Any]:
        frames, rows, columns, latents, audio, mask = inputs(name)
        with torch.no_grad():
            strengths, kind = torch.unique(mask, return_inverse=True)
            modulation = denoiser.modulations((0.975,), strengths, kind, 1)[0]
            coords = clip_coords(model.rope, frames, rows, columns, 24.0).to(device)
            audio_coords = model.audio_rope.prepare_audio_coords(1, 101, device)
            rotaries = denoiser.rotaries(coords, audio_coords)
            context = denoiser.text_context(text, negative if guided else None)

        def step() -> Any:
            with torch.no_grad():
                return denoiser(
                    latents, audio, context, modulation, rotaries, nag if guided else None
                )

        return step

    frames, rows, columns, latents, audio, mask = inputs("704p")
    timestep = torch.full((1,), 975.0, device=device)

    def stock() -> Any:
        with torch.no_grad():
            return model(
                hidden_states=latents.to(dtype),
                audio_hidden_states=audio.to(dtype),
                encoder_hidden_states=text[0],
                audio_encoder_hidden_states=text[1],
                timestep=timestep[:, None] * (1 - mask.to(device)),
                audio_timestep=timestep,
                sigma=timestep,
                num_frames=frames,
                height=rows,
                width=columns,
                fps=24.0,
                audio_num_frames=101,
                use_cross_timestep=True,
                return_dict=False,
            )

    bench.time("step 704p stock eager bf16", stock, reps=2)
    reference = stock()[0].float()
    eager = stepper(Denoiser(model), "704p", False)
    bench.time("step 704p ours eager bf16", eager, reps=2)
    out = eager()[0]
    bench.note(
        "step ours bf16 vs stock relative", float((out - reference).norm() / reference.norm())
    )
    cuda = device.type == "cuda"
    if cuda:
        compiled = stepper(Denoiser(model, compile_blocks=True), "704p", False)
        bench.time("step 704p compiled bf16", compiled, reps=3)
        out = compiled()[0]
        bench.note(
            "step compiled bf16 vs stock relative",
            float((out - reference).norm() / reference.norm()),
        )
        torch._dynamo.reset()
    start = time.perf_counter()
    for block in model.transformer_blocks:
        fp8.quantize_linears(block)
    bench.sync()
    bench.note("quantize s", round(time.perf_counter() - start, 1))
    if cuda:
        torch.cuda.empty_cache()
        bench.note("fp8 weights GiB", round(torch.cuda.memory_allocated() / 2**30, 2))
    denoiser = Denoiser(model, compile_blocks=cuda)
    for name in ("704p", "half", "1088p"):
        for guided in (False, True):
            label = f"step {name} fp8 compiled{' nag' if guided else ''}"
            if cuda:
                torch.cuda.reset_peak_memory_stats()
            step = stepper(denoiser, name, guided)
            bench.time(label, step, reps=5)
            if cuda:
                bench.note(label + " peak GiB", round(torch.cuda.max_memory_allocated() / 2**30, 2))
            if name == "704p" and not guided:
                out = step()[0]
                bench.note(
                    "step fp8 vs bf16 relative", float((out - reference).norm() / reference.norm())
                )
                if cuda:
                    profile(step, args.out.with_name("dit_profile.txt"))
            if name == "704p" and guided and cuda:
                profile(step, args.out.with_name("dit_nag_profile.txt"))
            del step
            if cuda:
                torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
