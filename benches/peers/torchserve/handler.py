"""TorchServe's worker: a JPEG in, instances and the annotated JPEG out. MODEL names the model's folder."""

import json
import os
import struct
import sys
from pathlib import Path

# The same code as the Python service's, from where it lies.
sys.path.insert(0, os.environ["LOOK"])
import look

model: look.Model | None = None


def handle(data, _context):
    """Called by TorchServe: once without data when the worker starts, then with a batch."""
    global model
    if model is None:
        model = look.Model(Path(os.environ["MODEL"]), threads=1)
    if data is None:
        return None
    return [answer(request.get("data") or request.get("body")) for request in data]


def answer(jpeg: bytes) -> bytes:
    picture = look.decode(jpeg)
    seen = model.look_at(picture)
    annotated = look.draw(picture, seen)
    instances = [{key: value for key, value in one.items() if key not in ("crop", "corner", "color")} for one in seen]
    result = {"width": picture.width, "height": picture.height, "instances": instances}
    # An answer has one body: the length of the JSON, the JSON, and the picture, which is spared base64.
    text = json.dumps({"result": result}).encode()
    return struct.pack(">I", len(text)) + text + annotated
