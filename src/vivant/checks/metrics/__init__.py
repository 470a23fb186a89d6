"""One file per family of checks, each a :class:`vivant.checks.metric.Metric`.

::

    registry.py     all of them, in the order of the checklist
    identity.py     is it the same person, in every frame
    face_parts.py   eyes, mouth and skin
    mouth_shape.py  the outline of the lips
    face_shape.py   nose, jaw, brows, glasses; a face that bends or slides
    hair_shape.py   the outline of the hair
    deform.py       melting, wobble, jitter of the face
    skin.py         texture and brightness of the skin
    motion.py       the user's own frame difference
    steadiness.py   flicker, cuts, jelly, a frozen picture, a flash at the end
    timing.py       freezes, repeated frames, stutter, missing moments, odd frames
    boomerang.py    a clip that plays forwards, then backwards
    exposure.py     pumping, slow changes of light and tint, frames of another colour
    color.py        saturation, cast, drift
    texture.py      detail, noise, halos, drawn looks
    resolution.py   enlarged from less than the picture has
    lattice.py      patches and blocks
    seams.py        straight lines of tiles
    grid_lines.py   thin lines of a grid
    background.py   a background that sways, signs that melt
    torn_layers.py  outlines cut through and moved against each other
    rim.py          a rim around the person
    ghost.py        a second, faint outline beside the first
    trail.py        an earlier frame that shines through behind what moves

These are parts of others:

::

    far_flow.py       the flow from the first frame to a later one, for two checks
    rough_cut.py      the person cut out of a frame, for two checks
    light_change.py   how the light of a frame differs from the first one's
    iris_shift.py     how far each iris has moved in its eye
    shape_filters.py  what to look for in the flow of a face, for the cells that are seen

These are functions of the finished file, no metrics:

::

    delivery.py     what YouTube and the user asked for
    sound.py        loudness, peak, silence, start and length of the sound
    performance.py  seconds and cost

And this one compares the last frame with the picture that was given for it:

::

    last_picture.py  is the person at the end the one in that picture
"""
