"""What a clip says about its own making: content credentials, XMP, comment, visible label.

::

    facts.py       what is said: engine, model, seed, hash of the picture, …
    xmp.py         the facts as XMP, in MP4 and JPEG files
    keys.py        private key and certificates: the operator's, or self-made
    remote.py      a remote signer
    manifest.py    the facts as a C2PA manifest
    signing.py     signs finished files
    later.py       signs clips that were made without a signature
    reading.py     reads credentials back: valid, tampered, missing, by whom
    label_text.py  what a visible label may say
    label.py       a small text in the pictures themselves
"""
