"""Turns click's errors into our sentences: the option, what it may be, what was found, and the nearest known word.

No sentence of click's own reaches a person.
"""

from __future__ import annotations

import ast
import re

import click
from click.core import ParameterSource

from ..system.words import joined, nearest, quoted
from .options import bound

_FOUND = re.compile(r"""(?:File |Directory |Path )?('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^ ]+) """)
"""The refused value at the beginning of a click message: a repr, or a number."""
_ANYTHING = "text"
_ABOUT = {
    "URL": "a node's URL, such as http://127.0.0.1:5001",
    "DIR": "a folder",
    "FILE": "a file",
    "FROM": "a name of your wallet",
    "TO": "a name, a contact or an address",
    "WHO": "a name, a contact or an address",
    "AMOUNT": "coins, such as 2.5",
    "TXID": "the hex digits of a transaction's id, or the first of them",
    "ID": "a block's height or hash, or `tip`",
    "OLD": "the name that a key has",
    "NEW": "the name that it shall have",
    "NODE": "the name of a node, as in `moneyer net status`",
    "NODE…": "the name of a node, as in `moneyer net status`",
    "A-B…": "the names of an edge's two nodes, such as 1-2",
}
"""What a value may be, by its name in the help."""
_EXTRA = re.compile(r"Got unexpected extra arguments? \((.*)\)", re.DOTALL)


def sentence_of(error: click.UsageError) -> str:
    """The error in one sentence; a sentence that a command raised itself is left as it is."""
    if isinstance(error, click.NoSuchOption):
        return _unknown("option", error.option_name, _options(error.ctx), error.ctx)
    if isinstance(error, click.exceptions.NoSuchCommand):
        return _unknown("command", error.command_name, _commands(error.ctx), error.ctx)
    if isinstance(error, click.MissingParameter) and error.param is not None:
        label, kind = _label(error.param, error.ctx), _describe(error.param)
        return f"{label} is missing" if kind == _ANYTHING else f"{label} is missing: it must be {kind}"
    if isinstance(error, click.BadParameter):
        return _bad_value(error)
    if isinstance(error, click.BadOptionUsage):
        return _bad_option(error)
    extra = _EXTRA.fullmatch(error.message)
    if extra:
        path = error.ctx.command_path if error.ctx else "moneyer"
        return f"{quoted(extra[1])} is too much here: `{path} --help` shows what it takes"
    return error.format_message()


def _unknown(what: str, name: str, known: list[str], ctx: click.Context | None) -> str:
    near = nearest(name, known)
    path = ctx.command_path if ctx else "moneyer"
    hint = f"; did you mean {near}?" if near else f": `{path} --help` lists those there are"
    return f"there is no {what} {quoted(name)} here{hint}"


def _options(ctx: click.Context | None) -> list[str]:
    return [] if ctx is None else [opt for each in ctx.command.get_params(ctx) for opt in each.opts if opt[:2] == "--"]


def _commands(ctx: click.Context | None) -> list[str]:
    return ctx.command.list_commands(ctx) if ctx is not None and isinstance(ctx.command, click.Group) else []


def _label(param: click.Parameter, ctx: click.Context | None) -> str:
    """The option or the argument as it is typed; with its environment variable where that was wrong."""
    if isinstance(param, click.Option):
        label = max(param.opts, key=len)
        source = ctx.get_parameter_source(param.name) if ctx is not None and param.name else None
        if source is ParameterSource.ENVIRONMENT and ctx is not None:
            variable = param.envvar or f"{ctx.auto_envvar_prefix}_{str(param.name).upper()}"
            return f"{variable if isinstance(variable, str) else variable[0]} ({label})"
        return label
    return param.make_metavar(ctx or click.Context(click.Command("moneyer"))).strip("[]")


def _bad_value(error: click.BadParameter) -> str:
    if error.param is None:
        return error.message
    label, kind = _label(error.param, error.ctx), error.param.type
    match = _FOUND.match(error.message)
    if match is None:
        return f"{label} must be {_describe(error.param)}"
    found = _value(match[1])
    if isinstance(kind, click.Path) and "does not exist" in error.message:
        return f"{label}: there is no {quoted(found)}"
    if isinstance(kind, click.Path) and " is a " not in error.message:
        return f"{label}: {quoted(found)} may not be read or written"
    near = nearest(found, [str(each) for each in kind.choices]) if isinstance(kind, click.Choice) else None
    hint = f"; did you mean {near}?" if near else ""
    return f"{label} must be {_describe(error.param)}, not {quoted(found)}{hint}"


def _value(text: str) -> str:
    if text[:1] not in "'\"":
        return text.removesuffix(".0")  # a whole number that was read as a fraction
    try:
        return str(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text.strip("'\"")


def _bad_option(error: click.BadOptionUsage) -> str:
    # The parser raises it without a context, so that the option itself isn't known here.
    return f"{error.option_name} {'takes no value' if 'not take' in error.message else 'wants a value behind it'}"


def _describe(param: click.Parameter) -> str:
    """What an option's or argument's value may be."""
    kind = param.type
    if isinstance(kind, click.Choice):
        return joined(str(each) for each in kind.choices)
    if isinstance(kind, click.IntRange | click.FloatRange):
        return _describe_range(kind)
    if isinstance(kind, click.Path):
        return "a file" if not kind.dir_okay else "a folder" if not kind.file_okay else "a path"
    names = {"integer": "a whole number", "float": "a number", "boolean": "true or false"}
    if kind.name in names:
        return names[kind.name]
    return _ABOUT.get(param.metavar or (param.name or "").upper(), _ANYTHING)


def _describe_range(kind: click.IntRange | click.FloatRange) -> str:
    what = "a whole number" if isinstance(kind, click.IntRange) else "a number"
    low = None if kind.min is None else f"{'more than ' if kind.min_open else ''}{bound(kind.min)}"
    high = None if kind.max is None else f"{'below ' if kind.max_open else ''}{bound(kind.max)}"
    if low is None or high is None:
        return f"{what} from {low} up" if low is not None else what if high is None else f"{what} up to {high}"
    return f"{what} {'' if kind.min_open else 'from '}{low} {'and at most' if kind.min_open else 'to'} {high}"
