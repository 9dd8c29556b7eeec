"""One image file's bytes to the pixels of an episode."""

import io
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from engine.errors import RequestError

PIXEL_LIMIT = 64_000_000
LARGE = 16_000_000
"""Pixels from which on images are decoded one at a time, by one thread of their own: one of 49 million takes
0.8 GB, and each thread that ever decoded one keeps what it took."""
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")
"""What image files are read as, whatever their names end in: Pillow has formats that start other programs."""
_large = ThreadPoolExecutor(1, "kshot-large-images")


def decode(
    content: bytes,
    where: str,
    *,
    size: int,
    channels: int,
    source_size: int | None = None,
    inverted: bool = False,
) -> np.ndarray:
    """An image as uint8 [channels, size, size].

    Turned as its EXIF orientation says, laid on white where transparent, cropped to the centred square,
    resized by area. source_size: the only size allowed, in pixels a side. inverted: ink becomes 255 on 0.
    Raises RequestError naming `where` for what is no image, is damaged, or has the wrong size.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of bombs from 89 million pixels on; the limit here is lower and an error.
            warnings.simplefilter("ignore")
            with Image.open(io.BytesIO(content), formats=FORMATS) as image:
                if image.width * image.height > PIXEL_LIMIT:
                    raise RequestError(
                        f"{where} has {image.width} x {image.height} pixels; {PIXEL_LIMIT:,} are the limit"
                    )
                if source_size is not None and image.size != (source_size, source_size):
                    raise RequestError(
                        f"{where} has {image.width} x {image.height} pixels; "
                        f"every image of this data set has {source_size} x {source_size}"
                    )
                if image.width * image.height > LARGE:
                    pixels = _large.submit(_pixels, image, size, channels).result()
                else:
                    pixels = _pixels(image, size, channels)
    except RequestError:
        raise
    except UnidentifiedImageError as error:
        raise RequestError(f"{where} is no image that can be read") from error
    except Exception as error:  # Pillow's decoders raise many kinds for damaged files
        raise RequestError(f"{where} is a damaged image ({error})") from error
    if inverted:
        pixels = 255 - pixels
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _pixels(image: Image.Image, size: int, channels: int) -> np.ndarray:
    image.load()
    return np.asarray(_square(_plain(image, channels), size))


def _plain(image: Image.Image, channels: int) -> Image.Image:
    """Upright and opaque, grey or colour, 8 bits a channel."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        # Pillow's own conversion clips 16 bits to 8; the high byte is what is meant.
        image = Image.fromarray((np.asarray(image).clip(0, 65535).astype(np.uint16) // 257).astype(np.uint8))
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return image.convert("L" if channels == 1 else "RGB")


def _square(image: Image.Image, size: int) -> Image.Image:
    side = min(image.size)
    if image.width != image.height:
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    if side == size:
        return image
    return image.resize((size, size), Image.Resampling.BOX if side > size else Image.Resampling.BILINEAR)
