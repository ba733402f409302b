"""What the steps of postprocessing did to the masks of a run, in words and in figures."""

from __future__ import annotations

from typing import Any

from inference_core.stats.effects import EffectCounts, StepCounts
from inference_core.stats.summary import Summary
from jobs.report.number_text import count_text, plural, share_text


def effect_lines(summary: Summary) -> list[str]:
    """A sentence for each step, in order: ``removed 12,408 components under 64 px in 3.1 % of the images``."""
    return [step_sentence(step, num_images=summary.effects.images) for step in summary.effects.steps]


def effects_block(summary: Summary) -> dict[str, Any] | None:
    """The block of ``summary.json``; None where the package declares no steps."""
    effects = summary.effects
    if not effects.steps:
        return None
    steps = [
        {
            "name": step.name,
            "value": step.value,
            "sentence": step_sentence(step, num_images=effects.images),
            **figures(step.all_classes, num_images=effects.images),
            "classes": [
                {
                    "class_id": int(class_id),
                    "label": summary.class_names[int(class_id)],
                    **figures(counts, num_images=effects.images),
                }
                for class_id, counts in step.classes.items()
            ],
        }
        for step in effects.steps
    ]
    return {"images": effects.images, "steps": steps}


def figures(counts: EffectCounts, *, num_images: int) -> dict[str, Any]:
    """Counts, and the share of the images that went through the steps."""
    return {
        "components": counts.components,
        "pixels": counts.pixels,
        "images": counts.images,
        "images_frac": counts.images / num_images,
    }


def step_sentence(step: StepCounts, *, num_images: int) -> str:
    """What a step did, over all classes."""
    counts = step.all_classes
    if not counts.pixels:
        return f"{step.name}{'' if step.value is None else f' {count_text(step.value)}'} changed nothing"
    return f"{what_was_done(step)} in {share_text(counts.images / num_images)} of the images"


def what_was_done(step: StepCounts) -> str:
    """The same without the images; the step changed something."""
    counts = step.all_classes
    components, holes, pixels = (
        plural(counts.components, "component"),
        plural(counts.components, "hole"),
        plural(counts.pixels, "pixel"),
    )
    size = "" if step.value is None else count_text(step.value)
    match step.name:
        case "min_area_px":
            return f"removed {components} under {size} px"
        case "max_area_px":
            return f"removed {components} over {size} px"
        case "keep_largest":
            return f"removed {components} beside the {'' if step.value == 1 else f'{size} '}largest of a class"
        case "clear_border":
            return f"removed {components} at the image's edge"
        case "fill_holes":
            return f"filled {holes}{f' of at most {size} px' if size else ''} ({pixels})"
        case "open_px":
            return f"removed {pixels} where a disc of {size} px does not fit"
        case "close_px":
            return f"filled {pixels} of gaps where a disc of {size} px does not fit"
        case _:
            return f"changed {pixels} by {step.name}"
