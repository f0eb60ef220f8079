"""Writes lossy.webp: needs Pillow, which nothing else here does."""

from pathlib import Path

from PIL import Image

picture = Image.new("RGB", (8, 8), (200, 40, 30))
picture.putpixel((2, 3), (20, 200, 60))
picture.save(Path(__file__).with_name("lossy.webp"), quality=80)
