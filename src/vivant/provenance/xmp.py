"""The facts as XMP, in MP4 and JPEG files, for programs that know no content credentials."""

from __future__ import annotations

import struct
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from vivant.errors import printable
from vivant.provenance.facts import IPTC, ProvenanceFacts

MP4_BOX = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")
"""Type of the ``uuid`` box that holds XMP (Adobe XMP specification, part 3, section 1.2.7)."""

JPEG_HEADER = b"http://ns.adobe.com/xap/1.0/\0"
"""What an APP1 segment with XMP begins with (part 3, section 1.1.3)."""

_PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"
 xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 {attributes}><dc:description><rdf:Alt><rdf:li xml:lang="x-default">{comment}</rdf:li></rdf:Alt>
</dc:description></rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""


def packet(facts: ProvenanceFacts) -> bytes:
    """The XMP packet, UTF-8. The properties of IPTC are those of its standard 2025.1."""
    values = {
        "xmp:CreatorTool": facts.software,
        "Iptc4xmpExt:DigitalSourceType": IPTC + facts.source_type,
        "Iptc4xmpExt:AISystemUsed": facts.model,
        "Iptc4xmpExt:AISystemVersionUsed": facts.revision,
        "Iptc4xmpExt:AIPromptInformation": printable(" ".join(facts.prompt.split())),
    }
    attributes = "\n ".join(f"{name}={quoteattr(value)}" for name, value in values.items() if value)
    return _PACKET.format(attributes=attributes, comment=escape(facts.comment)).encode()


def add_xmp(path: Path, facts: ProvenanceFacts) -> None:
    """Put the packet into a finished MP4 or JPEG file.

    In an MP4 it is the last box, so that nothing before it moves.
    """
    data = packet(facts)
    if path.suffix == ".mp4":
        with path.open("ab") as file:
            file.write(struct.pack(">I4s", 24 + len(data), b"uuid") + MP4_BOX + data)
        return
    picture = path.read_bytes()
    body = JPEG_HEADER + data
    after = 2  # behind SOI and the segment JFIF, which has to be the first one
    if picture[2:4] == b"\xff\xe0":
        after += 2 + int.from_bytes(picture[4:6], "big")
    segment = b"\xff\xe1" + struct.pack(">H", 2 + len(body)) + body
    path.write_bytes(picture[:after] + segment + picture[after:])
