"""Overrides without which a shipped configuration is not complete."""

PYRAMID = "[[2,3,0,1,1],[3,3,0,1,1],[4,3,0,3,0],[1,3,0,3,1],[5,3,0,2,1],[4,7,2,1,0],[7,2,1,0,1]]"
NEEDED = {"bccd_fcos_head": [f"space.fpn={PYRAMID!r}"]}


def needed(name: str) -> list[str]:
    return NEEDED.get(name, [])
