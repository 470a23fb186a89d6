"""Run by a test with TRITON_INTERPRET=1 and a version: the fused block against the plain one.

Prints, as JSON, the relative difference of video and audio for each case.
"""

from __future__ import annotations

import json
import sys

import torch
from diffusers.models.transformers.transformer_ltx2 import LTX2VideoTransformer3DModel

from vivant.engines.ltx2 import block_kernels, fp8, tiny
from vivant.engines.ltx2.architecture import TINY
from vivant.engines.ltx2.conditioning import clip_coords
from vivant.engines.ltx2.transformer import Denoiser


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    architecture = TINY[sys.argv[1]]
    model = tiny.build(LTX2VideoTransformer3DModel, architecture.transformer, quantize=True)
    # Triton's interpreter rounds e4m3 wrongly (1 % of values): leave activations unrounded in
    # both paths, which compares everything else; the rounding itself is the GPU's
    for module in (fp8, block_kernels):
        setattr(module, "FLOAT8", torch.float32)  # noqa: B010 - replaced for the interpreter
    batch, frames, rows, columns = 2, 2, 1, 3  # few: the interpreter takes 50 ms a row
    tokens = frames * rows * columns
    latents, audio = torch.randn(batch, tokens, 4), torch.randn(batch, 3, 4)
    # of one text, as the clips of a call have
    first, second = architecture.text
    text = (torch.randn(1, 3, first), torch.randn(1, 3, second))
    negative = (torch.randn(1, 3, first), torch.randn(1, 3, second))
    coords = clip_coords(model.rope, frames, rows, columns, 24.0)
    audio_coords = model.audio_rope.prepare_audio_coords(1, 3, torch.device("cpu"))
    found = {}
    for kinds in (3,):
        mask = torch.zeros(tokens)
        mask[:2], mask[-2:] = float(kinds > 1), 0.5 * (kinds > 2)
        strengths, kind = torch.unique(mask, return_inverse=True)
        for guided in (False, True) if sys.argv[1] == "2.0" else (True,):  # each takes 10 s
            nag = torch.tensor([5.0, 2.5, 0.25]) if guided else None
            outs = []
            for fused in (False, True):
                denoiser = Denoiser(model, fused=fused)
                with torch.no_grad():
                    outs.append(
                        denoiser(
                            latents,
                            audio,
                            denoiser.text_context(text, negative if guided else None),
                            denoiser.modulations((0.9,), strengths, kind, batch)[0],
                            denoiser.rotaries(coords, audio_coords),
                            nag,
                        )
                    )
            found[f"{kinds} kinds{', nag' if guided else ''}"] = [
                float((a - b).norm() / a.norm()) for a, b in zip(*outs, strict=True)
            ]
    print(json.dumps(found))  # noqa: T201 - its output is what it is for


if __name__ == "__main__":
    main()
