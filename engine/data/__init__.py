"""Data sets of images as files: locating, counting, packing, fetching, checking. Never imports torch."""

from engine.data.checking import Finding, check
from engine.data.datasets import DATASETS, PARTS, Dataset, dataset_named, image_shape, split_of
from engine.data.fetching import fetch
from engine.data.fitting import Presence, check_task_fits, inspect, is_packed
from engine.data.packing import PackedImages, Part, class_counts, load_images, split_hash
from engine.folders import cache_folder, data_folder

__all__ = [
    "DATASETS",
    "PARTS",
    "Dataset",
    "Finding",
    "PackedImages",
    "Part",
    "Presence",
    "cache_folder",
    "check",
    "check_task_fits",
    "class_counts",
    "data_folder",
    "dataset_named",
    "fetch",
    "image_shape",
    "inspect",
    "is_packed",
    "load_images",
    "split_hash",
    "split_of",
]
