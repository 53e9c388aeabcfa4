"""Files of other kinds than are read, and others that pretend to be one that is: no decoder may be tried on them."""

import io
import zipfile

from PIL import Image

from tests.system.drawing import encoded
from tests.system.hostile.damaged import Maker

SAVED = ("TIFF", "ICO", "EPS", "PDF", "PPM", "PCX", "TGA", "SGI", "DDS", "ICNS", "JPEG2000", "MSP", "XBM", "AVIF")
SVG = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'><image href='file:///etc/passwd'/></svg>"
PAGE = b"<!doctype html><script>alert(document.domain)</script>"
POSTSCRIPT = (
    b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) (r) file 100 string readstring pop print\n"
)


def _saved(kind: str) -> bytes:
    return encoded(Image.new("1" if kind in ("MSP", "XBM") else "RGB", (32, 32), 1), kind)


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("../../evil.py", "print()")
    return file.getvalue()


FOREIGN: dict[str, Maker] = {
    **{f"a file saved as {kind}": (lambda rng, kind=kind: _saved(kind)) for kind in SAVED},  # type: ignore[misc]
    "SVG": lambda rng: SVG,
    "SVG behind a byte order mark": lambda rng: b"\xef\xbb\xbf" + SVG,
    "HTML": lambda rng: PAGE,
    "PostScript that reads a file": lambda rng: POSTSCRIPT,
    "ZIP": lambda rng: _zip(),
    "ZIP with a PNG behind it": lambda rng: _zip() + encoded(Image.new("L", (9, 9)), "PNG"),
    "pickle": lambda rng: b"cos\nsystem\n(S'true'\ntR.",
    "NumPy array": lambda rng: b"\x93NUMPY\x01\0v\0{'descr': '|O', 'fortran_order': False, 'shape': (1,)}",
    "PSD": lambda rng: b"8BPS\0\1" + bytes(6) + b"\0\3\0\0\0\x09\0\0\0\x09\0\x08\0\3" + bytes(12),
    "FITS": lambda rng: b"SIMPLE  =                    T" + b" " * 2850,
    "WMF": lambda rng: b"\xd7\xcd\xc6\x9a" + bytes(60),
    "FLI": lambda rng: bytes(4) + b"\x11\xaf" + bytes(128),
    "ImageMagick script": lambda rng: b"push graphic-context\nfill 'url(https://127.0.0.1/\"|ls \"-la)'\n",
    "PNG signature only": lambda rng: b"\x89PNG\r\n\x1a\n",
    "GIF signature, then a script": lambda rng: b"GIF89a=0;alert(1);//",
    "BM and no more": lambda rng: b"BM",
    "RIFF that is no WebP": lambda rng: b"RIFF\x24\0\0\0WAVEfmt " + bytes(20),
    "nothing but zeros": lambda rng: bytes(int(rng.integers(1, 5000))),
    "words": lambda rng: b"I am a picture of a seven. " * int(rng.integers(1, 50)),
    "random bytes": lambda rng: rng.bytes(int(rng.integers(1, 5000))),
}
