"""Scores on arrays: pixels, objects, surfaces, tracks, boxes, classes, and how sure we are of them.

Arrays in, numbers out: nothing here knows of files, tasks or networks. Undefined scores are nan. Definitions,
and what differs from other programs: docs/metrics.md.
"""

from reunet.on_demand import on_demand

_HOMES = {
    "confusion": ".overlap",
    "dice": ".overlap",
    "iou": ".overlap",
    "accuracy": ".overlap",
    "pixel_error": ".overlap",
    "object_overlap": ".object_overlap",
    "match_counts": ".matching",
    "average_precision": ".matching",
    "panoptic_quality": ".matching",
    "f1": ".matching",
    "aggregated_jaccard": ".histology",
    "rand_scores": ".partitions",
    "cl_dice": ".skeleton",
    "surface_distances": ".surface",
    "hd95": ".surface",
    "normalised_surface_distance": ".surface",
    "region_similarity": ".video",
    "boundary_measure": ".video",
    "flicker": ".video",
    "box_iou": ".box_matching",
    "interval": ".bootstrap",
}

__all__ = [*_HOMES]
__getattr__, __dir__ = on_demand(__name__, _HOMES, __all__)
