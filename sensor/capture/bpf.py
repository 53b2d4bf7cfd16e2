"""A small assembler for classic BPF, the language of socket filters (linux/filter.h), in the syntax of bpf_asm."""

import re
import struct
from collections.abc import Callable

MAXIMUM_INSTRUCTIONS = 4096
"""BPF_MAXINSNS (linux/bpf_common.h)."""

_LOAD_PACKET = {"ldb": 0x10, "ldh": 0x08, "ld": 0x00}
_ARITHMETIC = {"add": 0x04, "sub": 0x14, "or": 0x44, "and": 0x54, "lsh": 0x64, "rsh": 0x74}
_COMPARE = {"jeq": 0x15, "jgt": 0x25, "jge": 0x35, "jset": 0x45}
_PLAIN = {"tax": 0x07, "txa": 0x87}
_ANCILLARY = {"#type": 0xFFFFF000 + 4}
"""SKF_AD_OFF + SKF_AD_PKTTYPE: how the kernel saw the frame (PACKET_HOST, ...)."""

_PATTERNS = {
    "number": re.compile(r"#(0x[0-9a-fA-F]+|\d+)$"),
    "absolute": re.compile(r"\[(\d+)\]$"),
    "indexed": re.compile(r"\[x\s*\+\s*(\d+)\]$"),
    "memory": re.compile(r"M\[(\d+)\]$"),
}

_Code = tuple[int, int]


class FilterError(ValueError):
    """The text is no program of this assembler."""


def assemble(text: str) -> bytes:
    """Turn a program into `struct sock_filter` records of 8 bytes each, in this machine's byte order.

    One instruction or `label:` a line, `;` starts a comment. Jumps name labels: `jeq #53, yes` falls
    through when false, `jeq #53, yes, no` does not. Raises FilterError.
    """
    labels, lines = _scan(text)
    if not 0 < len(lines) <= MAXIMUM_INSTRUCTIONS:
        raise FilterError(f"{len(lines)} instructions")
    return b"".join(_encode(position, *line, labels) for position, line in enumerate(lines))


def _scan(text: str) -> tuple[dict[str, int], list[tuple[str, list[str]]]]:
    """Labels with the instruction they stand before, and instructions as (name, operands)."""
    labels: dict[str, int] = {}
    lines: list[tuple[str, list[str]]] = []
    for raw in text.splitlines():
        line = raw.split(";")[0].strip()
        if line.endswith(":"):
            if line[:-1] in labels:
                raise FilterError(f"label twice: {line}")
            labels[line[:-1]] = len(lines)
        elif line:
            name, _, rest = line.partition(" ")
            lines.append((name, [operand.strip() for operand in rest.split(",") if operand.strip()]))
    return labels, lines


def _encode(position: int, name: str, operands: list[str], labels: dict[str, int]) -> bytes:
    def distance(label: str) -> int:
        if label not in labels:
            raise FilterError(f"no label {label}")
        steps = labels[label] - position - 1
        if steps < 0:
            raise FilterError(f"{name} {label}: classic BPF jumps forward only")
        return steps

    if name in _COMPARE:
        return _compare(name, operands, distance)
    if name == "ja":
        return struct.pack("=HBBI", 0x05, 0, 0, distance(operands[0]))
    code, value = _simple(name, operands[0] if operands else "")
    return struct.pack("=HBBI", code, 0, 0, value)


def _compare(name: str, operands: list[str], distance: Callable[[str], int]) -> bytes:
    if len(operands) not in {2, 3}:
        raise FilterError(f"{name} needs a value and one or two labels")
    register = operands[0] == "x"
    value = 0 if register else _number(operands[0], "number")
    jumps = [distance(label) for label in operands[1:]] + [0] * (3 - len(operands))
    if value is None or max(jumps) > 255:
        raise FilterError(f"{name} {', '.join(operands)}: bad value, or a label more than 255 away")
    return struct.pack("=HBBI", _COMPARE[name] | (0x08 if register else 0), *jumps, value)


def _simple(name: str, operand: str) -> _Code:
    """Code and value of everything that does not jump."""
    found: _Code | None = None
    if name in _PLAIN:
        found = (_PLAIN[name], 0) if not operand else None
    elif name in _LOAD_PACKET or name == "ldx":
        found = _load(name, operand)
    elif name in {"st", "stx"}:
        slot = _number(operand, "memory")
        found = None if slot is None else (0x02 if name == "st" else 0x03, slot)
    elif name in _ARITHMETIC:
        value = 0 if operand == "x" else _number(operand, "number")
        found = None if value is None else (_ARITHMETIC[name] | (0x08 if operand == "x" else 0), value)
    elif name == "ret":
        value = 0 if operand == "a" else _number(operand, "number")
        found = None if value is None else (0x16 if operand == "a" else 0x06, value)
    if found is None:
        raise FilterError(f"not understood: {name} {operand}")
    return found


def _load(name: str, operand: str) -> _Code | None:
    index = name == "ldx"
    size = 0 if index else _LOAD_PACKET[name]
    if not index and operand in _ANCILLARY:
        return 0x20, _ANCILLARY[operand]
    if operand == "#len" and not size:
        return (0x81 if index else 0x80), 0
    modes = [("number", 0x00), ("memory", 0x60)] if not size else []
    if not index:
        modes += [("absolute", 0x20), ("indexed", 0x40)]
    for pattern, mode in modes:
        value = _number(operand, pattern)
        if value is not None:
            return mode | size | (0x01 if index else 0x00), value
    return None


def _number(operand: str, pattern: str) -> int | None:
    match = _PATTERNS[pattern].match(operand)
    if match is None:
        return None
    value = int(match[1], 0)
    limit = 15 if pattern == "memory" else 0xFFFFFFFF
    return value if value <= limit else None
