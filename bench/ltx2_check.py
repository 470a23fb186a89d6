# mypy: disable-error-code="arg-type,assignment,call-overload,operator,no-untyped-call"
"""The fused kernels on a real GPU against plain torch, at real width and few layers.

Takes the version, 2.0 where none is given.
"""

from __future__ import annotations

import sys
import time

import torch
from diffusers.models.autoencoders.autoencoder_kl_ltx2 import AutoencoderKLLTX2Video
from diffusers.models.transformers.transformer_ltx2 import LTX2VideoTransformer3DModel

from vivant.engines.ltx2 import tiny
from vivant.engines.ltx2.architecture import ARCHITECTURES
from vivant.engines.ltx2.conditioning import clip_coords, statistics
from vivant.engines.ltx2.decode import decode, prepare
from vivant.engines.ltx2.transformer import Denoiser


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    """‖a − b‖ / ‖b‖."""
    return float((a.float() - b.float()).norm() / b.float().norm())


@torch.no_grad()
def main() -> None:
    """Print relative differences and milliseconds per layer."""
    architecture = ARCHITECTURES[sys.argv[1] if len(sys.argv) > 1 else "2.0"]
    config = {**architecture.transformer, "num_layers": 4}
    frames, rows, columns = 13, 22, 40
    tokens = frames * rows * columns
    outs = {}
    for quantized in (False, True):
        model = tiny.build(
            LTX2VideoTransformer3DModel,
            config,
            device="cuda",
            dtype=torch.bfloat16,
            quantize=quantized,
        )
        generator = torch.Generator().manual_seed(0)
        latents = torch.randn(1, tokens, 128, generator=generator)
        audio = torch.randn(1, 101, 128, generator=generator)
        text = tuple(torch.randn(1, 1024, n, generator=generator) for n in architecture.text)
        negative = tuple(torch.randn(1, 1024, n, generator=generator) for n in architecture.text)
        mask = torch.zeros(tokens)
        mask[: rows * columns] = 1
        strengths, kind = torch.unique(mask, return_inverse=True)
        for name, options in (
            ("plain", {"fused": False}),
            ("fused", {"fused": True}),
            ("fused compiled", {"fused": True, "compile_blocks": True}),
        ):
            if not quantized and name != "plain":
                continue
            for guided in (False, True):
                denoiser = Denoiser(model, **options)
                coords = clip_coords(model.rope, frames, rows, columns, 24.0).cuda()
                audio_coords = model.audio_rope.prepare_audio_coords(1, 101, "cuda")
                arguments = (
                    latents.cuda(),
                    audio.cuda(),
                    denoiser.text_context(text, negative if guided else None),
                    denoiser.modulations((0.9,), strengths, kind, 1)[0],
                    denoiser.rotaries(coords, audio_coords),
                    torch.tensor([5.0, 2.5, 0.25]).cuda() if guided else None,
                )
                begin = time.perf_counter()
                out = denoiser(*arguments)
                torch.cuda.synchronize()
                first = time.perf_counter() - begin
                begin = time.perf_counter()
                for _ in range(5):
                    denoiser(*arguments)
                torch.cuda.synchronize()
                each = (time.perf_counter() - begin) / 5 / 4 * 1000
                label = f"{'fp8 ' if quantized else 'bf16 '}{name}{' nag' if guided else ''}"
                outs[label] = out
                print(f"{label}: {each:.2f} ms per layer, first call {first:.1f} s", flush=True)
    for a, b in (
        ("fp8 plain", "bf16 plain"),
        ("fp8 fused", "bf16 plain"),
        ("fp8 fused", "fp8 plain"),
        ("fp8 fused compiled", "fp8 fused"),
        ("fp8 plain nag", "bf16 plain nag"),
        ("fp8 fused nag", "bf16 plain nag"),
        ("bf16 plain nag", "bf16 plain"),
    ):
        video, sound = (relative(x, y) for x, y in zip(outs[a], outs[b], strict=True))
        print(f"{a} against {b}: video {video:.4f}, audio {sound:.4f}")
    vae = tiny.build(AutoencoderKLLTX2Video, architecture.vae, device="cuda", dtype=torch.bfloat16)
    z = torch.randn(1, 128, 13, 22, 40)
    mean, std = statistics(vae, torch.device("cuda"))
    reference = vae.decode((z.cuda() * std + mean).bfloat16(), None, return_dict=False)[0].cpu()
    prepare(vae)
    for _ in range(3):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        pieces = list(decode(vae, z, chunk=8))
        torch.cuda.synchronize()
        took = time.perf_counter() - begin
    ours = torch.cat([piece.cpu() for piece in pieces], 2)
    print(f"decode {took * 1000:.0f} ms, against stock {relative(ours, reference):.4f}")


if __name__ == "__main__":
    main()
