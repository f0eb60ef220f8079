"""The rules of `model.toml`, as strict as the detector's: an unknown key is a fault."""

from __future__ import annotations

import re

RESIZE_KEYS = {
    "shortest-edge": ({"shortest", "longest"}, set()),
    "fixed": ({"width", "height"}, set()),
    "letterbox": ({"width", "height"}, {"pad"}),
}
CONVENTIONS = {"instance-segmentation": {"detectron2"}, "classification": {"logits", "probabilities"}}


def sheet_faults(sheet: dict, folder: str, file_name: str) -> list[str]:
    """What is wrong with a parsed `model.toml` in this folder, for the file of this name."""
    faults = _key_faults("model.toml", sheet, {"name", "task", "input", "output", "files", "labels"},
                         {"batching", "thresholds"})
    if faults:
        return faults
    faults += _key_faults("[input]", sheet["input"], {"name", "layout", "channels", "range", "resize"}, {"mean", "std"})
    faults += _key_faults("[output]", sheet["output"], {"convention"}, {"name"})
    faults += _key_faults("[files]", sheet["files"], {"fp32"}, {"int8"})
    for label in sheet["labels"]:
        faults += _key_faults("[[labels]]", label, {"name"}, {"color"})
    if faults:
        return faults
    faults += _input_faults(sheet["input"])
    if sheet["task"] not in CONVENTIONS:
        faults.append(f"task {sheet['task']!r} is none of {sorted(CONVENTIONS)}")
    elif sheet["output"]["convention"] not in CONVENTIONS[sheet["task"]]:
        faults.append(f"the detector does not serve convention {sheet['output']['convention']!r} for {sheet['task']}")
    wanted = {"score", "mask"} if sheet["task"] == "instance-segmentation" else {"score"}
    faults += _key_faults("[thresholds]", sheet.get("thresholds", {}), set(), wanted)
    if sheet["name"] != folder:
        faults.append(f"name is {sheet['name']!r}, the folder is {folder!r}; they must be equal")
    if not re.fullmatch(r"[A-Za-z1-9_-][A-Za-z0-9_.-]*", sheet["name"]):
        faults.append(f"name {sheet['name']!r}: only letters, digits, '-', '_' and '.', not starting with '.' or '0'")
    if file_name not in sheet["files"].values():
        faults.append(f"[files] names {sorted(sheet['files'].values())}, not {file_name!r}")
    return faults + _batching_faults(sheet)


def _key_faults(where: str, table: dict, required: set[str], optional: set[str]) -> list[str]:
    missing, unknown = required - table.keys(), table.keys() - required - optional
    return [f"{where} lacks {key!r}" for key in sorted(missing)] + [
        f"{where} has the unknown key {key!r}" for key in sorted(unknown)]


def _input_faults(declared: dict) -> list[str]:
    choices = {"layout": {"chw", "nchw"}, "channels": {"bgr", "rgb", "gray"}, "range": {"0-255", "0-1"}}
    faults = [f"[input] {key} {declared[key]!r} is none of {sorted(allowed)}"
              for key, allowed in choices.items() if declared[key] not in allowed]
    resize = dict(declared["resize"])
    mode = resize.pop("mode", None)
    if mode not in RESIZE_KEYS:
        return [*faults, f"[input] resize mode {mode!r} is none of {sorted(RESIZE_KEYS)}"]
    return faults + _key_faults(f"resize {mode}", resize, *RESIZE_KEYS[mode])


def _batching_faults(sheet: dict) -> list[str]:
    most = sheet.get("batching", {}).get("max_batch_size", 1)
    if most == 1:
        return []
    if sheet["output"]["convention"] == "detectron2":
        return ["max_batch_size must be 1 for convention detectron2: its graph has no batch dimension"]
    if sheet["input"]["layout"] != "nchw" or sheet["input"]["resize"]["mode"] == "shortest-edge":
        return ["a max_batch_size above 1 needs layout nchw and resize fixed or letterbox"]
    return []
