"""The base of all contracts: frozen, strict about unknown keys, read from JSON with helpful errors."""

from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from reunet.errors import PlanError, ReunetError, closest, shortened
from reunet.storage import read_json, write_text

MOST_TOLD = 20
"""Wrong fields that an error names."""


class Contract(BaseModel):
    """A frozen value with named, typed fields; unknown fields are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    error: ClassVar[type[ReunetError]] = PlanError
    """What is raised for an invalid one."""
    most_bytes: ClassVar[int] = 2**25
    """Of a file of it: more is refused before it is read."""

    def write(self, path: Path) -> None:
        """Write atomically as indented JSON."""
        write_text(path, self.model_dump_json(indent=2) + "\n")

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a JSON file. Raises `error` naming every wrong field, with a suggestion for typos.

        A model with a field `schema_version` reads files of the version that is its default, and no other.
        """
        data = read_json(path, cls.error, most_bytes=cls.most_bytes)
        version = cls.model_fields.get("schema_version")
        if version is not None:
            check_schema_version(data, version.default, where=path, error=cls.error)
        return cls.parse(data, where=path)

    @classmethod
    def parse(cls, data: Any, *, where: object) -> Self:
        """Validate plain data. Raises `error` naming every wrong field."""
        try:
            return cls.model_validate(data)
        except ValidationError as cause:
            problems = [_explain(cls, error) for error in cause.errors()[:MOST_TOLD]]
            raise cls.error(
                f"{cause.error_count()} invalid field(s)", where=where, received="; ".join(problems)
            ) from cause


def check_schema_version(
    data: Any, current: int, *, where: object, error: type[ReunetError] = PlanError
) -> None:
    """Refuse a file whose `schema_version` this version of reunet does not know."""
    version = data.get("schema_version") if isinstance(data, dict) else None
    if version != current:
        newer = isinstance(version, int) and version > current
        raise error(
            "this file has another schema version",
            where=where,
            expected=f"schema_version {current}",
            received=shortened(version),
            fix="install a newer reunet" if newer else "create the file again with this version of reunet",
        )


def _explain(model: type[BaseModel], error: Any) -> str:
    location = [str(part) for part in error["loc"]]
    text = f"{'.'.join(location)}: {error['msg']}, received {shortened(error['input'])}"
    if error["type"] == "extra_forbidden":
        hint = closest(location[-1], _field_names(model))
        text = f"{'.'.join(location)}: unknown field" + (f", {hint}" if hint else "")
    return text


def _field_names(model: type[BaseModel]) -> list[str]:
    names: list[str] = []
    for name, field in model.model_fields.items():
        names.append(name)
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            names.extend(_field_names(field.annotation))
    return names
