"""What a user can ask for: a record of options per verb, which the command line, Python and the docs read."""

from reunet.contracts.options import records
from reunet.contracts.options.fields import Option, Options, record
from reunet.contracts.options.records import (
    CheckOptions,
    CompareOptions,
    DataOptions,
    DemoOptions,
    DoctorOptions,
    EngineOptions,
    EvaluateOptions,
    ExportOptions,
    ModelsOptions,
    PlanOptions,
    PredictOptions,
    TrainOptions,
    Wishes,
)
from reunet.contracts.options.verb import as_parameter, verb

__all__ = [
    "CheckOptions",
    "CompareOptions",
    "DataOptions",
    "DemoOptions",
    "DoctorOptions",
    "EngineOptions",
    "EvaluateOptions",
    "ExportOptions",
    "ModelsOptions",
    "Option",
    "Options",
    "PlanOptions",
    "PredictOptions",
    "TrainOptions",
    "Wishes",
    "as_parameter",
    "record",
    "records",
    "verb",
]
