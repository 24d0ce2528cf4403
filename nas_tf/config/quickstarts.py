"""The shipped configurations of ``nas-tf quickstart``."""

QUICKSTARTS = {
    "segmentation": "quickstart",
    "detection": "quickstart_detection",
    "restoration": "shapes_denoise",
}
"""The configuration for each task, the usual one first."""
