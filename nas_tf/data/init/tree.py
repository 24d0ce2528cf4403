"""Finds where a folder keeps pictures, labels, depth maps and annotations, and its splits."""

import os
import random
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from nas_tf.data.coco_file import read_coco
from nas_tf.data.files import IMAGE_SUFFIXES, read_lines
from nas_tf.data.path_pattern import Place, walk
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
    """Which files belong together; texts are values of dataset.yaml.

    ``splits`` is empty where the folders show them; ``lists`` are list files still to be written.
    """

    title: str
    images: str
    labels: str | None = None
    depth: str | None = None
    keypoints: str | None = None
    splits: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def find(root: Path) -> Arrangement:
    """The arrangement of a folder's files; raises where no label of any kind is found."""
    for attempt in (_cityscapes, _voc, _coco, _folders):
        found = attempt(root)
        if found is not None:
            return _plain(found)
    raise DataError(
        f"{root} has no labels that belong to its pictures: expected folders such as images and "
        "masks with files of the same names, or the layout of VOC, Cityscapes or COCO"
    )


def _plain(found: Arrangement) -> Arrangement:
    """Folders in place of patterns that say the same."""
    ending = "/{name}" if found.lists else "/{split}/{name}"
    shorter = {}
    for key in ("images", "labels", "depth"):
        text = getattr(found, key) or ""
        if text.endswith(ending) and "{" not in text.removesuffix(ending):
            shorter[key] = text.removesuffix(ending)
    return replace(found, **shorter)


def _cityscapes(root: Path) -> Arrangement | None:
    images, labels = "leftImg8bit/{split}/{name}_leftImg8bit.png", "gtFine/{split}/{name}_gtFine_"
    if not (root / "leftImg8bit").is_dir() or not (root / "gtFine").is_dir():
        return None
    there = [split for split in Place(root, images).splits() if split in ("train", "val")]
    for kind in ("labelTrainIds.png", "labelIds.png"):
        if there and Place(root, labels + kind).names(there[0]):
            return Arrangement(
                "Cityscapes",
                images,
                labels + kind,
                splits={split: split for split in there},
            )
    return None


def _voc(root: Path) -> Arrangement | None:
    kits = [root, *sorted(root.glob("VOCdevkit/VOC20*")), *sorted(root.glob("VOC20*"))]
    for kit in [kit for kit in kits if (kit / "JPEGImages").is_dir()]:
        images = f"{_below(root, kit)}JPEGImages"
        labels = f"{_below(root, kit)}SegmentationClass"
        lists = [
            kit / "ImageSets" / "Segmentation" / f"{one}.txt" for one in set(_SPLITS.values())
        ]
        if not (root / labels).is_dir():
            continue
        splits = {}
        for listing in sorted(lists, key=lambda path: list(_SPLITS).index(path.stem)):
            names = [" ".join(words) for words in read_lines(listing)] if listing.is_file() else []
            if names and Place(root, labels, targets=True).path(None, names[0]).is_file():
                splits[listing.stem] = str(listing.relative_to(root))
        found = Arrangement("PASCAL VOC", images, labels, splits=splits)
        if "train" in splits and "val" in splits:
            return found
        return _listed(root, replace(found, splits={}), Place(root, images).names(None), "")
    return None


def _coco(root: Path) -> Arrangement | None:
    """Annotation files by their contents; the first picture's place shows where pictures are."""
    places: dict[str, dict[str, str]] = {"keypoints": {}, "labels": {}}
    pictures: set[str] = set()
    files = [*sorted(root.glob("*.json")), *sorted(root.glob("*/*.json"))]
    for path in files:
        try:
            content = read_coco(path)
        except DataError:
            continue
        if not content.images or not content.annotations:
            continue
        text, split = _with_split(_below(root, path.parent) + path.name)
        kind = "keypoints" if content.people() else "labels"
        place = _picture_place(root, next(iter(content.images.values())).file_name, split)
        if place is not None:
            places[kind][split or ""] = text
            pictures.add(place)
    kinds = {kind: set(found.values()) for kind, found in places.items() if found}
    if not kinds or len(pictures) != 1 or any(len(texts) != 1 for texts in kinds.values()):
        return None
    found = Arrangement("COCO", pictures.pop(), **{kind: t.pop() for kind, t in kinds.items()})
    split = {split for found in places.values() for split in found if split}
    if {"train", "val"} <= {_SPLITS[one] for one in split}:
        return replace(found, splits=_renamed(split))
    whole = _literal(found, next(iter(split), ""))
    names = read_coco(root / (whole.keypoints or whole.labels))
    people = names.people() if whole.keypoints else names.images
    return _listed(root, whole, dict.fromkeys(people), "")


def _picture_place(root: Path, name: str, split: str | None) -> str | None:
    """The pattern of the folder in which a picture of a JSON is, one named by the split first."""
    ending = Path(name.replace("\\", "/")).parts
    paths = (path.relative_to(root).parts for path in _files(root))
    folders = ["/".join(path[: -len(ending)]) for path in paths if path[-len(ending) :] == ending]
    for folder in folders if split else []:
        text = re.sub(rf"(?<![a-z]){split}(?![a-z])", "{split}", folder)
        if text != folder:
            return f"{text}/{{name}}"
    return _pattern(folders[0]) if folders else None


def _folders(root: Path) -> Arrangement | None:
    """Folders by the words in their names, or pictures and masks in one folder."""
    groups: dict[tuple[str, str], Counter[str]] = {}
    for path in _files(root):
        parts = path.relative_to(root).parts[:-1]
        kind, pattern, split = _meaning(parts)
        groups.setdefault((kind, pattern), Counter())[split] += 1
    best = {
        kind: max(
            (group for group in groups if group[0] == kind), key=lambda one: groups[one].total()
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
    pair = _pair(root, images, labels, first) if "label" in best else _same(root, images, first)
    depth = _pair(root, images, best["depth"][1], first) if "depth" in best else None
    if pair is None and depth is None:
        return None
    found = Arrangement(
        "pictures and masks" if pair else "pictures and depth maps",
        (pair or depth)[0],
        pair[1] if pair else None,
        depth[1] if depth else None,
    )
    return _divided(root, found, splits)


def _divided(root: Path, found: Arrangement, splits: set[str]) -> Arrangement:
    """With its splits: those of the folders where train and val are, else lists of names."""
    named = _renamed(splits)
    labelled = {split: word for split, word in named.items() if _paired(root, found, word)}
    without = [split for split in named if split not in labelled]
    notes = (f"split {', '.join(without)} has no labels and is left out",) if without else ()
    if {"train", "val"} <= set(labelled):
        shown = {split: split for split in Place(root, found.images).splits()}
        return replace(found, splits={} if shown == labelled else labelled, notes=notes)
    if not splits:
        return _listed(root, found, _paired(root, found, None), "")
    word = labelled.get("train") or next(iter(labelled.values()), "")
    others = [split for split in labelled if labelled[split] != word]
    if others:
        notes += (f"there is no split val: train is divided, and {', '.join(others)} is left out",)
    return _listed(
        root, _literal(replace(found, notes=notes), word), _paired(root, found, word), word
    )


def _paired(root: Path, found: Arrangement, word: str | None) -> list[str]:
    """The names of pictures that have all their targets."""
    names = Place(root, found.images).names(word)
    for text in (found.labels, found.depth):
        known = _names(root, text, word) if text else names
        names = {name: names[name] for name in names if name in known}
    return list(names)


def _names(root: Path, text: str, word: str | None) -> Mapping[str, list[Path]]:
    """The names at a place; none where it is not there."""
    try:
        return Place(root, text).names(word)
    except DataError:
        return {}


def _listed(root: Path, found: Arrangement, names: Iterable[str], word: str) -> Arrangement:
    """Divided at random into train and val, always in the same way."""
    shuffled = sorted(names)
    random.Random(_SEED).shuffle(shuffled)
    if not shuffled:
        raise DataError(f"{root / (word or '.')} has no picture with a label of its name")
    held_out = round(_VAL_SHARE * len(shuffled)) or min(1, len(shuffled) - 1)
    lists = {"train": sorted(shuffled[held_out:]), "val": sorted(shuffled[:held_out])}
    lists = {split: tuple(names) for split, names in lists.items() if names}
    return replace(found, splits={split: f"splits/{split}.txt" for split in lists}, lists=lists)


def _literal(found: Arrangement, word: str) -> Arrangement:
    """The same with one split's folder in place of {split}."""
    texts = {
        key: text.replace("{split}", word)
        for key in ("images", "labels", "depth", "keypoints")
        if (text := getattr(found, key)) is not None
    }
    return replace(found, **texts)


def _pair(root: Path, images: str, labels: str, split: str | None) -> tuple[str, str] | None:
    """Patterns of pictures and targets that agree in most names; endings may differ."""
    pictures = list(Place(root, _pattern(images)).names(split))
    targets = sorted(Place(root, _pattern(labels)).names(split))
    known = set(targets)
    votes: Counter[tuple[str, str]] = Counter()
    for ending in _IMAGE_ENDS:
        stems = [name.removesuffix(ending) for name in pictures if name.endswith(ending)]
        for stem in stems[:: max(1, len(stems) // 50)]:
            near = targets[bisect_left(targets, stem) :][:8]
            votes.update((ending, one[len(stem) :]) for one in near if one.startswith(stem))
    if not votes:
        return None

    def pairs(ends: tuple[str, str]) -> int:
        return sum(
            name.endswith(ends[0]) and name.removesuffix(ends[0]) + ends[1] in known
            for name in pictures
        )

    ends = max(votes, key=lambda ends: (pairs(ends), -len(ends[0]), -len(ends[1])))
    return (_pattern(images) + ends[0], _pattern(labels) + ends[1]) if pairs(ends) else None


def _same(root: Path, images: str, split: str | None) -> tuple[str, str] | None:
    """Pictures and masks side by side: x.jpg and x_mask.png, or x.jpg and x.png."""
    pattern = _pattern(images)
    names = Place(root, pattern).names(split)
    for ending in _LABEL_ENDS:
        if any(name + ending in names for name in names):
            return pattern, pattern + ending
    suffixes = Counter(path.suffix for paths in names.values() for path in paths)
    both = [name for name, paths in names.items() if len(paths) == 2]
    photo = next((suffix for suffix in suffixes if suffix.lower() in (".jpg", ".jpeg")), None)
    return (pattern + photo, f"{pattern}.png") if both and photo and ".png" in suffixes else None


def _meaning(parts: tuple[str, ...]) -> tuple[str, str, str]:
    """Kind of a folder's files, its pattern up to the last word that is known, its split."""
    kind, split, kept, written = "", "", 0, []
    for number, part in enumerate(parts, 1):
        match = None if split else _SPLIT.search(part)
        rest = part
        if match:
            split, rest = match[0], part[: match.start()] + " " + part[match.end() :]
            part = f"{part[: match.start()]}{{split}}{part[match.end() :]}"
        words = {_KINDS.get(word, "") for word in re.findall(r"[a-z]+", rest.lower())}
        words |= {_KINDS.get(re.sub(r"[^a-z]", "", rest.lower()), "")}
        kinds = [one for one in ("label", "depth", "image") if one in words]
        kind = kinds[0] if kinds and kind in ("", "image") else kind
        kept = number if match or kinds else kept
        written.append(part)
    if not kind and not split:
        kept = len(parts)
    return kind, "/".join(written[:kept]), split


def _with_split(text: str) -> tuple[str, str | None]:
    """A path with {split} in place of the last word that is one, and that word."""
    matches = list(_SPLIT.finditer(text))
    if not matches:
        return text, None
    last = matches[-1]
    return f"{text[: last.start()]}{{split}}{text[last.end() :]}", last[0]


def _renamed(words: set[str]) -> dict[str, str]:
    """What folders call the splits train, val and test, in this order."""
    named = {_SPLITS[word.lower()]: word for word in sorted(words)}
    return {split: named[split] for split in ("train", "val", "test") if split in named}


def _pattern(folder: str) -> str:
    return f"{folder}/{{name}}" if folder else "{name}"


def _files(root: Path) -> Iterator[Path]:
    """The pictures of a folder, as many as are looked at."""
    for count, path in enumerate(walk(root)):
        if count > _MOST_FILES:
            return
        if path.suffix.lower() in IMAGE_SUFFIXES:
            yield path


def _below(root: Path, folder: Path) -> str:
    """The way from root to a folder, to put before a name."""
    relative = os.path.relpath(folder, root)
    return "" if relative == "." else f"{Path(relative).as_posix()}/"
