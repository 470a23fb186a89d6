"""A picture file → a :class:`vivant.types.Portrait`: upright sRGB with the framing chosen.

::

    intake.py          load_portrait: the steps below, in order
    source.py          bytes, bounded; which format they are
    decode.py          pixels, upright, within limits
    color.py           any mode and profile → sRGB
    code_points.py     colours given by numbers → sRGB; HDR is tone-mapped
    heif_boxes.py      codec and colours of HEIF and AVIF files
    jpeg_scans.py      how many scans a JPEG has
    png_color.py       colours of PNG files without an ICC profile
    camera_raw.py      tell camera RAW files
    crop.py            the part to show
    crop_by_hand.py    the part that a person chose
    faces.py           find faces, compare two
    blaze_face.py      find faces that are covered or turned
    face_mesh.py       478 points of a face, lid aperture, head pose
    iris.py            where the iris is in one eye
    dark_glasses.py    whether the eyes are behind dark glasses
    matte.py           cut the people out
    hair_strands.py    add loose strands to the matte
    models/            networks of MediaPipe, as files
    embedding.py       dlib's embedding network, run by OpenCV
    onnx_graph.py      write a small network as an ONNX model
    averaging.py       make a picture smaller by a whole factor
    framing.py         which pixels of the picture a frame shows
    sample_picture.py  the portraits of ``vivant demo`` and of the page
    samples/           the portrait of ``vivant demo`` and of the page

Importing the package imports none of them. Imports nothing of engines, clips or checks.
"""
