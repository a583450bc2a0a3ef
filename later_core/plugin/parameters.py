"""Parameters as typed values, and what is wrong with them by the paths of their fields."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from later_core.plugin.task import TaskError

if TYPE_CHECKING:
    from pydantic import BaseModel

_Model = TypeVar("_Model", bound="BaseModel")


def parse_parameters(model: type[_Model], parameters: bytes) -> _Model:
    """The parameters, JSON, as a pydantic model, whose ``model_json_schema()`` is their schema.

    Raises:
        TaskError: reason INVALID_PARAMETERS, final; the message names every wrong field by its path,
            like ``headers.X-Key: …``, and repeats none of their values, which may be secrets.

    """
    from pydantic import ValidationError

    try:
        return model.model_validate_json(parameters or b"{}")
    except ValidationError as error:
        wrong = error.errors(include_url=False, include_context=False, include_input=False)
        faults = [
            f"{'.'.join(map(str, each['loc'])) or 'parameters'}: {each['msg']}" for each in wrong
        ]
        raise TaskError("; ".join(faults), reason="INVALID_PARAMETERS", is_final=True) from None
