"""Finds clean pictures that a network learns to restore, alone or paired with degraded ones."""

import os
from collections import Counter
from itertools import product
from pathlib import Path

from nas_tf.data.init import tree
from nas_tf.data.init.tree import Arrangement
from nas_tf.data.path_pattern import walk

_CLEAN = "clean sharp original originals reference gt groundtruth truth target targets high hq"
_DEGRADED = "degraded noisy noise blurry blurred"
_ALSO_DEGRADED = "rainy rain blur hazy haze lq low input inputs"
"""Words for degraded pictures that folders with masks have, too."""
_DESCRIPTIONS = (".json", ".xml")


def find_pairs(root: Path, *, all_words: bool = False) -> Arrangement | None:
    """Returns pictures in two folders, such as noisy and clean, that have names in common."""
    degraded = f"{_DEGRADED} {_ALSO_DEGRADED}" if all_words else _DEGRADED
    kinds = {word: "clean" for word in _CLEAN.split()}
    kinds |= {word: "degraded" for word in degraded.split()}
    groups: dict[str, dict[str, set[str]]] = {"clean": {}, "degraded": {}, "": {}}
    for path in tree.files_below(root):
        kind, pattern, split = tree.classified(path.relative_to(root).parts[:-1], kinds)
        groups[kind].setdefault(pattern, set()).add(split)
    best, most = None, 0
    for images, clean in product(groups["degraded"], groups["clean"]):
        splits = groups["degraded"][images] & groups["clean"][clean]
        paths = tree.pattern_below(images), tree.pattern_below(clean)
        found = Arrangement("pairs of degraded and clean pictures", paths[0], clean=paths[1])
        count = sum(len(tree.paired(root, found, split)) for split in splits)
        if count > most:
            best, most = tree.with_splits(root, found, {split for split in splits if split}), count
    return None if best is None else tree.simplified(best)


def find_clean(root: Path) -> Arrangement | None:
    """Returns all pictures of a folder, divided by sub-folders such as train and val or at random.

    Returns None if there are none.
    """
    pictures = [path.relative_to(root) for path in tree.files_below(root)]
    if not pictures:
        return None
    groups: dict[str, Counter[str]] = {}
    for path in pictures:
        _, pattern, split = tree.classified(path.parts[:-1], {})
        groups.setdefault(pattern, Counter())[split] += 1
    divided = [
        pattern
        for pattern, splits in groups.items()
        if "train" in (named := tree.folder_names({*splits} - {""})) and len(named) > 1
    ]
    if divided:
        pattern = max(divided, key=lambda pattern: groups[pattern].total())
        elsewhere = len(pictures) - groups[pattern].total()
        notes = (f"{elsewhere} pictures elsewhere are left out",) if elsewhere else ()
        found = _clean(pattern, notes)
        return tree.simplified(tree.with_splits(root, found, {*groups[pattern]} - {""}))
    folder = os.path.commonpath([path.parent for path in pictures])
    names = {path.relative_to(folder).with_suffix("").as_posix() for path in pictures}
    return tree.simplified(tree.with_lists(root, _clean(folder), names, ""))


def has_only_pictures(root: Path) -> bool:
    """Returns whether nothing in a folder can be meant as labels of its pictures."""
    for path in walk(root):
        kind, *_ = tree.classified(path.relative_to(root).parts[:-1])
        if kind in ("label", "depth") or path.suffix.lower() in _DESCRIPTIONS:
            return False
    return True


def _clean(folder: str, notes: tuple[str, ...] = ()) -> Arrangement:
    """Returns the pictures below a folder, which are clean themselves."""
    pattern = tree.pattern_below(folder)
    return Arrangement("clean pictures, to be restored", pattern, clean=pattern, notes=notes)
