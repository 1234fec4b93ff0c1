"""Why an image is suggested, as a sentence."""

from __future__ import annotations

from collections.abc import Mapping

from reunet.texts import Language, translator

FAR = 0.3
"""Share of the largest distance from which an image is unlike those before."""


def reason(facts: Mapping[str, float], language: Language = "en") -> str:
    """A sentence of the facts that count most."""
    say, parts = translator(language), []
    count, changed = int(facts.get("objects", 0)), int(facts.get("changed_objects", 0))
    if changed:
        parts.append(say("{changed} of {count} objects change when the image is mirrored", changed=changed,
                         count=count))  # fmt: skip
    if only := int(facts.get("only_mirrored", 0)):
        parts.append(say("{only} more are seen in the mirror image only", only=only))
    if "class_probability" in facts:
        share = f"{facts['class_probability']:.0%}"
        parts.append(say("the class is told with a probability of {share}", share=share))
    if (unsure := facts.get("unsure_pixels", 0.0)) >= 0.001 and len(parts) < 2:
        parts.append(say("{share} of the pixels are unsure", share=f"{unsure:.1%}"))
    if facts.get("distance", 0.0) >= FAR:
        parts.append(say("it looks unlike the images before it and those that are labelled"))
    return say("; ").join(parts) or say("nothing is in doubt here")
