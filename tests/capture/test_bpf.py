"""Assembling classic BPF."""

from collections.abc import Callable

import pytest

from sensor.capture.bpf import FilterError, assemble


def test_a_program_becomes_sock_filter_records() -> None:
    program = assemble("ldh [12]\njeq #0x800, ip\nret #0\nip:\nret #65535")
    assert program.hex(" ", 8) == "280000000c000000 1500010000080000 0600000000000000 06000000ffff0000"


def test_it_does_what_the_text_says(interpret: Callable[..., int]) -> None:
    program = assemble("""
        ldx #2
        ldb [x + 1]     ; the fourth byte
        st M[3]
        txa
        add #10
        lsh #1
        sub x
        tax             ; 22
        ld M[3]
        jgt x, big, small
        big:
        ret a
        small:
        ld #len
        jset #1, uneven
        ret #2
        uneven:
        ret #1
    """)
    assert interpret(program, bytes([0, 0, 0, 99])) == 99
    assert interpret(program, bytes([0, 0, 0, 5])) == 2
    assert interpret(program, bytes([0, 0, 0, 5, 0])) == 1
    assert interpret(program, bytes([0, 0, 0])) == 0, "a load outside the frame ends the program"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "; nothing",
        "jump #1",
        "ld",
        "ldx [4]",
        "ldb #3",
        "st M[16]",
        "ret",
        "ret #0x100000000",
        "jeq #1, nowhere",
        "jeq #1",
        "here:\nret #0\nja here",
        "twice:\ntwice:\nret #0",
        "jeq #1, far\n" + "tax\n" * 256 + "far:\nret #0",
        "tax\n" * 4097,
    ],
)
def test_what_is_no_program_is_refused(text: str) -> None:
    with pytest.raises(FilterError):
        assemble(text)
