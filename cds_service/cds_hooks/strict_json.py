"""Decodes a JSON object into a Struct; when it does not fit, names the field that is wrong, never its value."""

from __future__ import annotations

from functools import cache
from typing import Any, TypeGuard, TypeVar, get_args

import msgspec

from cds_service.errors import BadRequest

_T = TypeVar("_T", bound=msgspec.Struct)

# What msgspec raises on bytes from outside: wrong JSON or type, nesting beyond the interpreter's limit (P-13, T15),
# a string that is not UTF-8.
UNREADABLE = (msgspec.DecodeError, RecursionError, UnicodeDecodeError)
NOT_JSON = "The body is not JSON, is nested too deeply, or is not UTF-8."
_KINDS: dict[object, str] = {str: "a string", int: "a whole number"}


def decode(body: bytes | msgspec.Raw, decoder: msgspec.json.Decoder[_T], path: str = "") -> _T:
    """Decode one JSON object. :class:`BadRequest` names the first field that does not fit, below ``path``."""
    try:
        return decoder.decode(body)
    except UNREADABLE:
        # Only a body that is refused is read field by field.
        raise BadRequest(_first_fault(body, decoder.type, path)) from None


def _first_fault(body: bytes | msgspec.Raw, kind: type[msgspec.Struct], path: str) -> str:
    try:
        parts = msgspec.json.decode(body, type=_loose(kind))
    except msgspec.ValidationError:
        return f"`{path}` must be an object." if path else "The body must be a JSON object."
    except UNREADABLE:
        return NOT_JSON
    for field in msgspec.structs.fields(kind):
        where = f"{path}.{field.encode_name}" if path else field.encode_name
        raw = getattr(parts, field.name)
        if raw is not msgspec.UNSET and (fault := _fault_in(raw, field.type, where)):
            return fault
        if raw is msgspec.UNSET and field.required:
            return f"`{where}` is missing."
    return NOT_JSON


def _fault_in(raw: msgspec.Raw, kind: Any, where: str) -> str | None:
    """What is wrong with one member, or None."""
    try:
        msgspec.json.decode(raw, type=kind)
    except UNREADABLE:
        kinds = (kind, *get_args(kind))
        inner = next(filter(_is_struct, kinds), None)
        return _first_fault(raw, inner, where) if inner else f"`{where}` must be {_named(kinds)}."
    return None


def _named(kinds: tuple[Any, ...]) -> str:
    words = [part for part in kinds if isinstance(part, str)]  # the values of a Literal
    return " or ".join(words) or next((_KINDS[part] for part in kinds if part in _KINDS), "a list of objects")


def _is_struct(kind: Any) -> TypeGuard[type[msgspec.Struct]]:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


@cache
def _loose(kind: type[msgspec.Struct]) -> type[msgspec.Struct]:
    """The same members, each kept as it came."""
    fields = msgspec.structs.fields(kind)
    names = {field.name: field.encode_name for field in fields}
    members = [(field.name, msgspec.Raw | msgspec.UnsetType, msgspec.UNSET) for field in fields]
    return msgspec.defstruct(f"Loose{kind.__name__}", members, rename=names)
