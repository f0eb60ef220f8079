//! COCO run-length masks.
