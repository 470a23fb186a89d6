"""LTX-2: the engine that moves the person.

::

    options.py        what a request may ask of this engine, checked before any GPU work (no torch)
    recipes.py        sigmas, stages and grids: seed, fast, native and their LoRA kin (no torch)
    segments.py       how a clip longer than one pass is divided (no torch)
    architecture.py   how LTX-2.0 and 2.3 are built: arguments of diffusers' classes (no torch)
    versions.py       which version a file is of; parts of two versions are refused (no torch)
    names.py          Lightricks' names of weights → diffusers' (no torch)
    components.py     diffusers' components, from folders, single files and fp8 checkpoints
    diffusers_classes.py  classes of diffusers, without importing the rest of it
    without_compiler.py  keeps torch's compiler from being imported
    checkpoint.py     weight files → modules, one tensor at a time
    direct_read.py    weight files → the GPU, by several readers through pinned memory
    fp8_checkpoint.py writes the transformer rounded to fp8, once
    random_components.py, tiny.py  the same classes, tiny or at real size, with random weights
    transformer.py    the forward pass: modulation per distinct timestep, one RoPE, cached text keys
    block.py          one block in plain torch
    modulation.py     scales, shifts and gates of a step, for one block or all
    fused_block.py    one block of fp8 layers, with Triton between the products
    block_kernels.py, block_triton.py  these kernels
    attention.py      the fastest exact attention there is; NAG
    step_graphs.py    steps recorded as CUDA graphs
    sound_lane.py     the sound's kernels beside the picture's, on a stream of their own
    ulysses.py        one GPU's share of tokens, heads and frames
    operators.py      functions as operators of torch
    fp8.py            row-wise fp8 matrix products
    conditioning.py   picture → clean tokens, their strengths and coordinates
    sampling.py       the denoising loop, on one screen
    stage_inputs.py   noisy tokens that a stage begins with, and what holds them
    denoising_stage.py  one stage as sent to every GPU: its tokens, texts and sigmas
    vae_kernels.py, vae_triton.py  norm, SiLU and padding of the VAE decoder in one pass
    decode.py         latents → frames, chunk by chunk, equal to decoding the whole clip
    sound.py          audio latents → sound: audio VAE and vocoder
    prompts.py        text → connector outputs, kept on disk
    text_encoder.py   Gemma 3, one layer in memory at a time
    lora.py           low-rank adapters, checked, then fused
    tiers.py          how much memory asks for which tier (no torch)
    memory.py         what stays on the GPU, what waits beside it
    first_uses.py     the GPU's libraries are used once while weights are read
    readahead.py      the checkpoint comes off the disk while torch is imported (no torch)
    loading.py        loads a model, keeps it, goes a tier lower where memory runs out
    gpu_group.py, gpu_worker.py, gpu_messages.py  several GPUs: one process for each
    generation.py     one pass: prompts, picture, denoising, decoding
    extension.py      longer clips: passes that continue one another, joined
    engine.py         LTX2Engine: options in, clips and report out

Importing this package loads no torch.
"""
