"""One image file's bytes to the pixels of an episode."""

import io
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from engine.errors import RequestError

PIXEL_LIMIT = 64_000_000


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
            with Image.open(io.BytesIO(content)) as image:
                if image.width * image.height > PIXEL_LIMIT:
                    raise RequestError(
                        f"{where} has {image.width} x {image.height} pixels; {PIXEL_LIMIT:,} are the limit"
                    )
                if source_size is not None and image.size != (source_size, source_size):
                    raise RequestError(
                        f"{where} has {image.width} x {image.height} pixels; "
                        f"every image of this data set has {source_size} x {source_size}"
                    )
                image.load()
                plain = _plain(image, channels)
    except RequestError:
        raise
    except UnidentifiedImageError as error:
        raise RequestError(f"{where} is no image that can be read") from error
    except Exception as error:  # Pillow's decoders raise many kinds for damaged files
        raise RequestError(f"{where} is a damaged image ({error})") from error
    pixels = np.asarray(_square(plain, size))
    if inverted:
        pixels = 255 - pixels
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)


def _plain(image: Image.Image, channels: int) -> Image.Image:
    """Upright and opaque, grey or colour, 8 bits a channel."""
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        # Pillow's own conversion clips 16 bits to 8; the high byte is what is meant.
        image = Image.fromarray((np.asarray(image).astype(np.int64).clip(0, 65535) // 257).astype(np.uint8))
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
