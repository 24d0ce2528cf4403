"""Finds the pictures, labels, depth maps, annotations and splits of a folder."""

import os
import random
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from nas_tf.data.coco_file import read_coco
from nas_tf.data.files import IMAGE_SUFFIXES, read_lines
from nas_tf.data.path_pattern import PathPattern, walk
from nas_tf.errors import DataError

_WORDS = {
    "label": "labels label masks mask annotations annotation annots annot anno ann gt labelids "
    "segmentationclass segmentations segmentation segs seg groundtruth truth targets target",
    "depth": "depth depths depthmaps",
    "image": "images image imgs img jpegimages photos photo pictures picture rgb inputs input",
}
_KINDS = {word: kind for kind, words in _WORDS.items() for word in words.split()}
_SPLITS = {
    **{word: "train" for word in ("training", "train")},
    **{word: "val" for word in ("validation", "valid", "val")},
    **{word: "test" for word in ("testing", "test")},
}
_SPLIT = re.compile(rf"(?<![a-z])({'|'.join(_SPLITS)})(?=[^a-z]|$|{'|'.join(_KINDS)})", re.I)
_IMAGE_ENDS = ("", "_image", "_img", "_rgb", "_sat", "_leftImg8bit", "-image", "-img")
_LABEL_ENDS = ("_mask", "_label", "_labels", "_gt", "_seg", "_L", "_lab", "-mask", "-label")
_MOST_FILES = 500_000
_VAL_SHARE = 0.2
_SEED = 17


@dataclass(frozen=True)
class Arrangement:
    """The path patterns of files that belong together, as values of dataset.yaml.

    ``clean`` are pictures to be restored: ``images`` themselves, or what degraded ones are paired
    with. ``splits`` is empty if the folders show them; ``lists`` are list files that ``write``
    adds.
    """

    title: str
    images: str
    labels: str | None = None
    depth: str | None = None
    keypoints: str | None = None
    boxes: str | None = None
    clean: str | None = None
    splits: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def find(root: Path) -> Arrangement | None:
    """Returns the arrangement of a folder's pictures and labels, or None if there are none."""
    for attempt in (_cityscapes, _voc, _coco, _folders):
        found = attempt(root)
        if found is not None:
            return simplified(found)
    return None


def simplified(found: Arrangement) -> Arrangement:
    """Replaces patterns by folders that mean the same."""
    ending = "/{name}" if found.lists else "/{split}/{name}"
    shorter = {}
    for key in ("images", "labels", "depth", "clean"):
        text = getattr(found, key) or ""
        if text.endswith(ending) and "{" not in text.removesuffix(ending):
            shorter[key] = text.removesuffix(ending)
    return replace(found, **shorter)


def _cityscapes(root: Path) -> Arrangement | None:
    """Returns the layout of Cityscapes, or None if the folder does not have it."""
    images, labels = "leftImg8bit/{split}/{name}_leftImg8bit.png", "gtFine/{split}/{name}_gtFine_"
    if not (root / "leftImg8bit").is_dir() or not (root / "gtFine").is_dir():
        return None
    present = [split for split in PathPattern(root, images).splits() if split in ("train", "val")]
    for kind in ("labelTrainIds.png", "labelIds.png"):
        if present and PathPattern(root, labels + kind).names(present[0]):
            return Arrangement(
                "Cityscapes",
                images,
                labels + kind,
                splits={split: split for split in present},
            )
    return None


def _voc(root: Path) -> Arrangement | None:
    """Returns the layout of PASCAL VOC, or None if the folder does not have it."""
    kits = [root, *sorted(root.glob("VOCdevkit/VOC20*")), *sorted(root.glob("VOC20*"))]
    for kit in [kit for kit in kits if (kit / "JPEGImages").is_dir()]:
        images = f"{_prefix(root, kit)}JPEGImages"
        labels = f"{_prefix(root, kit)}SegmentationClass"
        folder = kit / "ImageSets" / "Segmentation"
        lists = [folder / f"{split}.txt" for split in set(_SPLITS.values())]
        if not (root / labels).is_dir():
            continue
        splits = {}
        for listing in sorted(lists, key=lambda path: list(_SPLITS).index(path.stem)):
            names = [" ".join(words) for words in read_lines(listing)] if listing.is_file() else []
            if names and PathPattern(root, labels, targets=True).path(None, names[0]).is_file():
                splits[listing.stem] = str(listing.relative_to(root))
        found = Arrangement("PASCAL VOC", images, labels, splits=splits)
        if "train" in splits and "val" in splits:
            return found
        names = PathPattern(root, images).names(None)
        return with_lists(root, replace(found, splits={}), names, "")
    return None


def _coco(root: Path) -> Arrangement | None:
    """Returns annotation files by their contents, and the folder of their first picture."""
    annotations: dict[str, dict[str, str]] = {"keypoints": {}, "labels": {}, "boxes": {}}
    pictures: set[str] = set()
    files = [*sorted(root.glob("*.json")), *sorted(root.glob("*/*.json"))]
    for path in files:
        try:
            coco = read_coco(path)
        except DataError:
            continue
        if not coco.images or not coco.annotations:
            continue
        text, split = _with_placeholder(_prefix(root, path.parent) + path.name)
        kind = "labels" if coco.has_outlines else "boxes"
        kind = "keypoints" if coco.pictures_with_joints() else kind
        folder = _picture_folder(root, next(iter(coco.images.values())).file_name, split)
        if folder is not None:
            annotations[kind][split or ""] = text
            pictures.add(folder)
    if annotations["keypoints"] or annotations["labels"]:
        del annotations["boxes"]
    kinds = {kind: set(found.values()) for kind, found in annotations.items() if found}
    if not kinds or len(pictures) != 1 or any(len(texts) != 1 for texts in kinds.values()):
        return None
    patterns = {kind: texts.pop() for kind, texts in kinds.items()}
    found = Arrangement("COCO", pictures.pop(), **patterns)
    words = {word for texts in annotations.values() for word in texts if word}
    if {"train", "val"} <= {_SPLITS[word.lower()] for word in words}:
        return replace(found, splits=folder_names(words))
    undivided = _with_folder(found, next(iter(words), ""))
    coco = read_coco(root / (undivided.keypoints or undivided.labels or undivided.boxes))
    names = coco.pictures_with_joints() if undivided.keypoints else coco.images
    return with_lists(root, undivided, dict.fromkeys(names), "")


def _picture_folder(root: Path, name: str, split: str | None) -> str | None:
    """Returns the pattern of the folder of a JSON's picture, one with the split's name first."""
    ending = Path(name.replace("\\", "/")).parts
    paths = (path.relative_to(root).parts for path in files_below(root))
    folders = ["/".join(path[: -len(ending)]) for path in paths if path[-len(ending) :] == ending]
    for folder in folders if split else []:
        text = re.sub(rf"(?<![a-z]){split}(?![a-z])", "{split}", folder)
        if text != folder:
            return f"{text}/{{name}}"
    return pattern_below(folders[0]) if folders else None


def _folders(root: Path) -> Arrangement | None:
    """Returns folders by the words in their names, or pictures and masks in one folder."""
    groups: dict[tuple[str, str], Counter[str]] = {}
    for path in files_below(root):
        parts = path.relative_to(root).parts[:-1]
        kind, pattern, split = classified(parts)
        groups.setdefault((kind, pattern), Counter())[split] += 1
    best = {
        kind: max(
            (group for group in groups if group[0] == kind),
            key=lambda group: groups[group].total(),
        )
        for kind in {kind for kind, _ in groups}
    }
    pictures = best.get("image") or best.get("")
    if pictures is None:
        return None
    splits = {split for split in groups[pictures] if split}
    first = (
        sorted(splits, key=lambda split: _SPLITS[split.lower()] != "train")[0] if splits else None
    )
    images, labels = pictures[1], best.get("label", ("", ""))[1]
    if "label" in best:
        pair = _pair(root, images, labels, first)
    else:
        pair = _side_by_side(root, images, first)
    depth = _pair(root, images, best["depth"][1], first) if "depth" in best else None
    if pair is None and depth is None:
        return None
    found = Arrangement(
        "pictures and masks" if pair else "pictures and depth maps",
        (pair or depth)[0],
        pair[1] if pair else None,
        depth[1] if depth else None,
    )
    return with_splits(root, found, splits)


def with_splits(root: Path, found: Arrangement, splits: set[str]) -> Arrangement:
    """Adds the splits: those of the folders if train and val are there, else lists of names."""
    named = folder_names(splits)
    labelled = {split: word for split, word in named.items() if paired(root, found, word)}
    unlabelled = [split for split in named if split not in labelled]
    missing = "pairs" if found.clean else "labels"
    notes = found.notes
    if unlabelled:
        notes += (f"split {', '.join(unlabelled)} has no {missing} and is left out",)
    if {"train", "val"} <= set(labelled):
        shown = {split: split for split in PathPattern(root, found.images).splits()}
        return replace(found, splits={} if shown == labelled else labelled, notes=notes)
    if not splits:
        return with_lists(root, found, paired(root, found, None), "")
    word = labelled.get("train") or next(iter(labelled.values()), "")
    others = [split for split in labelled if labelled[split] != word]
    if others:
        notes += (f"there is no split val: train is divided, and {', '.join(others)} is left out",)
    return with_lists(
        root, _with_folder(replace(found, notes=notes), word), paired(root, found, word), word
    )


def paired(root: Path, found: Arrangement, word: str | None) -> list[str]:
    """Returns the names of pictures that have all their targets."""
    names = PathPattern(root, found.images).names(word)
    for text in filter(None, (found.labels, found.depth, found.boxes, found.clean)):
        known = named_files(root, text, word)
        if not known or not text.endswith(".txt"):  # YOLO has no file for a picture without boxes
            names = {name: names[name] for name in names if name in known}
    return list(names)


def named_files(root: Path, text: str, word: str | None) -> Mapping[str, list[Path]]:
    """Returns the names that match a pattern; none if its folder is absent."""
    try:
        return PathPattern(root, text).names(word)
    except DataError:
        return {}


def with_lists(root: Path, found: Arrangement, names: Iterable[str], word: str) -> Arrangement:
    """Adds list files that divide the names into train and val, random with a fixed seed."""
    shuffled = sorted(names)
    random.Random(_SEED).shuffle(shuffled)
    if not shuffled:
        raise DataError(f"{root / (word or '.')} has no picture with a label of its name")
    held_out = round(_VAL_SHARE * len(shuffled)) or min(1, len(shuffled) - 1)
    lists = {"train": sorted(shuffled[held_out:]), "val": sorted(shuffled[:held_out])}
    lists = {split: tuple(names) for split, names in lists.items() if names}
    return replace(found, splits={split: f"splits/{split}.txt" for split in lists}, lists=lists)


def _with_folder(found: Arrangement, word: str) -> Arrangement:
    """Replaces {split} by a split's folder in all patterns."""
    texts = {
        key: text.replace("{split}", word)
        for key in ("images", "labels", "depth", "keypoints", "boxes", "clean")
        if (text := getattr(found, key)) is not None
    }
    return replace(found, **texts)


def _pair(root: Path, images: str, labels: str, split: str | None) -> tuple[str, str] | None:
    """Returns the patterns of pictures and targets that pair most names; endings may differ."""
    pictures = list(PathPattern(root, pattern_below(images)).names(split))
    targets = sorted(PathPattern(root, pattern_below(labels)).names(split))
    known = set(targets)
    votes: Counter[tuple[str, str]] = Counter()
    for ending in _IMAGE_ENDS:
        stems = [name.removesuffix(ending) for name in pictures if name.endswith(ending)]
        for stem in stems[:: max(1, len(stems) // 50)]:
            following = targets[bisect_left(targets, stem) :][:8]
            matching = [target for target in following if target.startswith(stem)]
            votes.update((ending, target[len(stem) :]) for target in matching)
    if not votes:
        return None

    def pairs(ends: tuple[str, str]) -> int:
        return sum(
            name.endswith(ends[0]) and name.removesuffix(ends[0]) + ends[1] in known
            for name in pictures
        )

    ends = max(votes, key=lambda ends: (pairs(ends), -len(ends[0]), -len(ends[1])))
    return (
        (pattern_below(images) + ends[0], pattern_below(labels) + ends[1]) if pairs(ends) else None
    )


def _side_by_side(root: Path, images: str, split: str | None) -> tuple[str, str] | None:
    """Returns the patterns of x.jpg and x_mask.png, or x.jpg and x.png, in one folder."""
    pattern = pattern_below(images)
    names = PathPattern(root, pattern).names(split)
    for ending in _LABEL_ENDS:
        if any(name + ending in names for name in names):
            return pattern, pattern + ending
    suffixes = Counter(path.suffix for paths in names.values() for path in paths)
    both = [name for name, paths in names.items() if len(paths) == 2]
    photo = next((suffix for suffix in suffixes if suffix.lower() in (".jpg", ".jpeg")), None)
    return (pattern + photo, f"{pattern}.png") if both and photo and ".png" in suffixes else None


def classified(parts: tuple[str, ...], kinds: Mapping[str, str] = _KINDS) -> tuple[str, str, str]:
    """Returns the kind of a folder's files, its pattern up to the last known word, its split.

    ``kinds`` maps words to kinds, of which the first found counts; the last yields to others.
    """
    order = list(dict.fromkeys(kinds.values()))
    kind, split, known, patterns = "", "", 0, []
    for number, part in enumerate(parts, 1):
        match = None if split else _SPLIT.search(part)
        rest = part
        if match:
            split, rest = match[0], part[: match.start()] + " " + part[match.end() :]
            part = f"{part[: match.start()]}{{split}}{part[match.end() :]}"
        words = {kinds.get(word, "") for word in re.findall(r"[a-z]+", rest.lower())}
        words |= {kinds.get(re.sub(r"[^a-z]", "", rest.lower()), "")}
        here = [word for word in order if word in words]
        kind = here[0] if here and kind in ("", order[-1]) else kind
        known = number if match or here else known
        patterns.append(part)
    if not kind and not split:
        known = len(parts)
    return kind, "/".join(patterns[:known]), split


def _with_placeholder(text: str) -> tuple[str, str | None]:
    """Returns a path with {split} in place of the last word for a split, and that word."""
    matches = list(_SPLIT.finditer(text))
    if not matches:
        return text, None
    last = matches[-1]
    return f"{text[: last.start()]}{{split}}{text[last.end() :]}", last[0]


def folder_names(words: set[str]) -> dict[str, str]:
    """Returns the folders' words for the splits train, val and test, in this order."""
    named = {_SPLITS[word.lower()]: word for word in sorted(words)}
    return {split: named[split] for split in ("train", "val", "test") if split in named}


def pattern_below(folder: str) -> str:
    """Returns the pattern of all files below a folder."""
    return f"{folder}/{{name}}" if folder else "{name}"


def files_below(root: Path, suffixes: Sequence[str] = IMAGE_SUFFIXES) -> Iterator[Path]:
    """Yields the files of a folder with one of the suffixes, up to a limit on all its files."""
    for count, path in enumerate(walk(root)):
        if count > _MOST_FILES:
            return
        if path.suffix.lower() in suffixes:
            yield path


def _prefix(root: Path, folder: Path) -> str:
    """Returns the path from root to a folder, as a prefix of a name."""
    relative = os.path.relpath(folder, root)
    return "" if relative == "." else f"{Path(relative).as_posix()}/"
