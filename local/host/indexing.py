"""Loading an app: import its script, find the one app object, check every function as Microsoft's worker does.

The checks and their words are those of `azure_functions_runtime` (functions.py and loader.py of 1.3.0), written again
over the public binding registry of `azure.functions`, so that an app which Azure would refuse is refused here too.
One refused function takes the whole app down, there as here.
"""

from __future__ import annotations

import importlib
import inspect
import json
import re
import sys
import traceback
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import azure.functions as func

_SCRIPT_NAME = re.compile(r"^[a-zA-Z0-9_][a-zA-Z0-9_\-]*\.py$")


class IndexingError(Exception):
    """The app cannot be indexed, so it has no functions at all: Azure would load none of them either."""


@dataclass(frozen=True, slots=True)
class BoundType:
    """How a value is converted: the name of its binding and the annotated Python type, if any."""

    binding: str
    annotation: Any


@dataclass(frozen=True, slots=True)
class Function:
    """One indexed function: what to call, and what its bindings say, in the shape of function.json."""

    name: str
    call: Callable[..., Any]
    directory: str
    script_file: str
    is_async: bool
    wants_context: bool
    bindings: tuple[dict[str, Any], ...]
    trigger: dict[str, Any]
    inputs: Mapping[str, BoundType]
    outputs: Mapping[str, BoundType]
    returns: BoundType | None
    retry_policy: Mapping[str, str] | None

    @property
    def trigger_type(self) -> str:
        return str(self.trigger["type"])


class GenericBinding:
    """The converter of every binding that azure.functions does not know: text and bytes only."""

    @staticmethod
    def check_input_type_annotation(annotation: type) -> bool:
        return issubclass(annotation, (str, bytes))

    @staticmethod
    def check_output_type_annotation(annotation: type) -> bool:
        return issubclass(annotation, (str, bytes, bytearray))


def _registered(binding: str) -> Any:
    return func.get_binding_registry().get(binding)  # type: ignore[no-untyped-call]


def converter(binding: str) -> Any:
    """The converter class that azure.functions registered for `binding`, or the generic one."""
    return _registered(binding) or GenericBinding


def load_functions(app: Path, script_name: str = "function_app.py") -> list[Function]:
    """Import the app's script and return its functions, sorted by name as the host sorts them.

    Raises IndexingError with the worker's message when the app cannot be indexed.
    """
    if not _SCRIPT_NAME.match(script_name):
        raise IndexingError(f"InvalidFileNameError: Invalid file name: {script_name}")
    if not (app / script_name).is_file():
        raise IndexingError(f"There is no {script_name} in {app}; only the Python v2 programming model is supported.")
    try:
        functions = [_index(function) for function in _find_app(app, script_name).get_functions()]
    except (Exception, SystemExit) as error:
        raise IndexingError(_summary(error, app)) from error
    return sorted(functions, key=lambda function: function.name.lower())


def _find_app(app: Path, script_name: str) -> func.FunctionRegister:
    if str(app) not in sys.path[:1]:
        sys.path.insert(0, str(app))
    module = importlib.import_module(script_name.removesuffix(".py"))
    found = [value for name in dir(module) if isinstance(value := getattr(module, name, None), func.FunctionRegister)]
    if not found:
        raise ValueError(f"Could not find top level function app instances in {script_name}.")
    if len(found) > 1:
        raise ValueError(
            f"More than one {type(found[0]).__name__} or other top level function app instances are defined."
        )
    return found[0]


def _summary(error: BaseException, app: Path) -> str:
    """The error with the app's own line that caused it, which is what one needs to fix it."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(app)]
    where = f" ({Path(own[-1].filename).relative_to(app)}, line {own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {error}{where}"


class FunctionLoadError(RuntimeError):
    """The worker's own error for a function that it refuses."""

    def __init__(self, function: str, message: str) -> None:
        super().__init__(f"cannot load the {function} function: {message}")


def _index(source: Any) -> Function:
    name, call = source.get_function_name(), source.get_user_function()
    parameters = dict(inspect.signature(call).parameters)
    annotations = typing.get_type_hints(call)
    bindings = source.get_bindings()
    bound = _bound_parameters(name, bindings)
    wants_context = _takes_context(name, parameters, bound, annotations)
    _check_names(name, parameters, bound)
    types = {parameter: _check_parameter(name, bound[parameter], annotations) for parameter in parameters}
    raw = [json.loads(binding) for binding in source.get_raw_bindings()]
    trigger = next(binding for binding in raw if binding["name"] == source.get_trigger().name)
    return Function(
        name=name,
        call=call,
        directory=str(Path(inspect.getfile(call)).parent),
        script_file=source.function_script_file or "function_app.py",
        is_async=inspect.iscoroutinefunction(call),
        wants_context=wants_context,
        bindings=tuple(raw),
        trigger=trigger,
        inputs={parameter: types[parameter] for parameter in types if not _is_output(bound[parameter])},
        outputs={parameter: types[parameter] for parameter in types if _is_output(bound[parameter])},
        returns=_return_type(name, bindings, annotations),
        retry_policy=source.get_settings_dict("retry_policy"),
    )


def _is_output(binding: Any) -> bool:
    return int(binding.direction) == 1


def _bound_parameters(name: str, bindings: list[Any]) -> dict[str, Any]:
    for binding in bindings:
        if int(binding.direction) == 2:
            raise FunctionLoadError(name, '"inout" bindings are not supported')
        if binding.name == "$return" and not _is_output(binding):
            raise FunctionLoadError(name, '"$return" binding must have direction set to "out"')
    return {binding.name: binding for binding in bindings if binding.name != "$return"}


def _takes_context(
    name: str, parameters: dict[str, Any], bound: Mapping[str, Any], annotations: Mapping[str, Any]
) -> bool:
    """Whether the function has a `context` parameter of its own; it is taken out of `parameters`."""
    if "context" not in parameters or "context" in bound:
        return False
    del parameters["context"]
    annotation = annotations.get("context")
    if "context" in annotations and not (isinstance(annotation, type) and annotation.__name__ == "Context"):
        raise FunctionLoadError(
            name, f'the "context" parameter is expected to be of type azure.functions.Context, got "{annotation!r}"'
        )
    return True


def _check_names(name: str, parameters: Mapping[str, Any], bound: Mapping[str, Any]) -> None:
    if unbound := set(parameters) - set(bound):
        raise FunctionLoadError(
            name,
            "the following parameters are declared in Python but not in the function definition (function.json or "
            f"function decorators):  {unbound!r}",
        )
    if missing := set(bound) - set(parameters):
        raise FunctionLoadError(
            name,
            "Extra parameters in binding definition — the following parameters are declared as bindings but are not "
            f"present in Python: {missing!r}",
        )


def _is_generic(annotation: Any) -> bool:
    """What typing_inspect.is_generic_type answers: typing.List[X] and user generics, but neither list[X] nor unions."""
    if isinstance(annotation, type):
        return issubclass(annotation, typing.Generic)
    if isinstance(annotation, types.GenericAlias):
        return False
    origin = typing.get_origin(annotation)
    return origin not in {None, typing.Union, types.UnionType, tuple, typing.ClassVar} and (
        origin is not typing.get_origin(Callable[..., Any])
    )


def _is_out(annotation: Any) -> bool:
    origin = typing.get_origin(annotation) if _is_generic(annotation) else None
    candidate = origin or annotation
    return isinstance(candidate, type) and candidate.__name__ == "Out"


def _check_parameter(name: str, binding: Any, annotations: Mapping[str, Any]) -> BoundType:
    annotated, annotation = binding.name in annotations, annotations.get(binding.name)
    is_out = annotated and _is_out(annotation)
    python_type = annotation
    if is_out:
        arguments = typing.get_args(annotation)
        if len(arguments) != 1:
            raise FunctionLoadError(name, f"binding {binding.name} has invalid Out annotation {annotation!r}")
        python_type = arguments[0]
    if annotated and not isinstance(python_type, type) and not _is_generic(python_type):
        raise FunctionLoadError(name, f"binding {binding.name} has invalid non-type annotation {annotation!r}")
    if _is_output(binding) and annotated and not is_out:
        raise FunctionLoadError(
            name,
            f'binding {binding.name} is declared to have the "out" direction, but its annotation in Python is not a '
            "subclass of azure.functions.Out",
        )
    if is_out and not _is_output(binding):
        raise FunctionLoadError(
            name,
            f'binding {binding.name} is declared to have the "in" direction in the binding decorator, but its '
            "annotation is azure.functions.Out in Python",
        )
    binding_type = binding.type
    if annotated and python_type in (str, bytes) and not _has_implicit_output(binding.type):
        binding_type = "generic"
    if annotated:
        _check_annotation(name, binding, binding_type, python_type, is_out=is_out)
    return BoundType(binding_type, python_type)


def _check_annotation(name: str, binding: Any, binding_type: str, python_type: Any, *, is_out: bool) -> None:
    check = converter(binding_type)
    accepted = (
        check.check_output_type_annotation(python_type) if is_out else check.check_input_type_annotation(python_type)
    )
    if not accepted:
        shown = getattr(python_type, "__name__", repr(python_type))
        raise FunctionLoadError(
            name,
            f'type of {binding.name} binding in the binding decorator "{binding.type}" does not match its Python '
            f'annotation "{shown}"',
        )


def _has_implicit_output(binding: str) -> bool:
    registered = _registered(binding)
    if registered is None:
        return binding != "durableClient"
    return bool(getattr(registered, "has_implicit_output", lambda: False)())


def _return_type(name: str, bindings: list[Any], annotations: Mapping[str, Any]) -> BoundType | None:
    explicit = next((binding.type for binding in bindings if binding.name == "$return"), None)
    implicit = [
        binding.type for binding in bindings if binding.name != "$return" and _has_implicit_output(binding.type)
    ]
    annotation = annotations.get("return")
    if explicit is not None:
        if "return" in annotations:
            _check_return_annotation(name, explicit, annotation)
        return BoundType(explicit, annotation)
    return BoundType(implicit[-1], annotation) if implicit else None


def _check_return_annotation(name: str, binding_type: str, annotation: Any) -> None:
    if _is_generic(annotation) and _is_out(annotation):
        raise FunctionLoadError(name, "return annotation should not be azure.functions.Out")
    if not isinstance(annotation, type):
        raise FunctionLoadError(name, f"has invalid non-type return annotation {annotation!r}")
    if not converter(binding_type).check_output_type_annotation(annotation):
        raise FunctionLoadError(
            name, f'Python return annotation "{annotation.__name__}" does not match binding type "{binding_type}"'
        )
