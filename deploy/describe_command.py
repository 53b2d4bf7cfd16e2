"""The man page and the shell completions, made from the command's own parser.

python deploy/describe_command.py man|bash|zsh|fish
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from sensor import __version__, cli

FILES = {
    "/etc/idlewire/idlewire.toml": "the settings; every one stands there with its default",
    "/var/lib/idlewire": "what the sensor keeps: messages that wait, what it learned",
}
EXITS = {"0": "fine", "1": "an error that you can mend, in one line on stderr", "2": "wrong usage"}


def main() -> int:
    """The command."""
    makers = {"man": man_page, "bash": bash, "zsh": zsh, "fish": fish}
    if len(sys.argv) != 2 or sys.argv[1] not in makers:
        print(__doc__, file=sys.stderr)
        return 2
    print(makers[sys.argv[1]](cli._parser()), end="")
    return 0


def man_page(parser: argparse.ArgumentParser) -> str:
    """idlewire(1) in roff."""
    lines = [f'.TH IDLEWIRE 1 "" "idlewire {__version__}" "User Commands"', ".SH NAME"]
    lines += [f"idlewire \\- {_roff(_lowered(parser.description or ''))}", ".SH SYNOPSIS"]
    for name, command in _commands(parser):
        lines += [f".B idlewire {_roff(name)}", _roff(_synopsis(command, name)), ".br"]
    lines += [".SH COMMANDS"]
    for name, command in _commands(parser):
        lines += [f".SS idlewire {_roff(name)}", _roff(_sentence(_help_of(parser, name)))]
        lines += [
            line for action in _actions(command) for line in (".TP", f".B {_roff(_called(action))}", _told(action))
        ]
        lines += _verbatim(command.epilog)
    lines += [".SH EXIT STATUS"]
    lines += [line for code, text in EXITS.items() for line in (".TP", f".B {code}", _roff(text))]
    lines += [".SH FILES"]
    lines += [line for path, text in FILES.items() for line in (".TP", f".I {_roff(path)}", _roff(text))]
    lines += [".SH SEE ALSO", "/usr/share/doc/idlewire/README.md", "systemctl(1), journalctl(1)"]
    return "\n".join(lines) + "\n"


def bash(parser: argparse.ArgumentParser) -> str:
    """For bash-completion."""
    names = " ".join(name for name, _ in _commands(parser))
    cases = "\n".join(f"    {name}) words='{' '.join(_flags(command))}' ;;" for name, command in _commands(parser))
    return f"""# bash completion for idlewire
_idlewire() {{
    local words current=${{COMP_WORDS[COMP_CWORD]}}
    if [ "$COMP_CWORD" -eq 1 ]; then
        mapfile -t COMPREPLY < <(compgen -W '{names} --help --version' -- "$current")
        return
    fi
    case ${{COMP_WORDS[1]}} in
{cases}
    *) return ;;
    esac
    case $current in
    -*) mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current") ;;
    *) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$current") ;;
    esac
}}
complete -F _idlewire idlewire
"""


def zsh(parser: argparse.ArgumentParser) -> str:
    """For compinit."""
    names = "\n".join(f"    {_single(f'{name}:{_help_of(parser, name)}')}" for name, _ in _commands(parser))
    cases = "\n".join(
        f"  {name}) _arguments {' '.join(_zsh_flag(action) for action in _actions(command) if action.option_strings)} "
        "'*:file:_files' ;;"
        for name, command in _commands(parser)
    )
    return f"""#compdef idlewire
local -a commands
commands=(
{names}
)
if (( CURRENT == 2 )); then
  _describe command commands
  return
fi
local chosen=$words[2]
shift words
(( CURRENT-- ))
case $chosen in
{cases}
esac
"""


def fish(parser: argparse.ArgumentParser) -> str:
    """For fish."""
    lines = ["# fish completion for idlewire"]
    for name, command in _commands(parser):
        lines.append(f"complete -c idlewire -n __fish_use_subcommand -fa {name} -d {_single(_help_of(parser, name))}")
        for action in _actions(command):
            for flag in (each for each in action.option_strings if each.startswith("--")):
                takes = "" if action.nargs == 0 else " -r"
                lines.append(
                    f"complete -c idlewire -n '__fish_seen_subcommand_from {name}' -l {flag[2:]}{takes} "
                    f"-d {_single(action.help or '')}"
                )
    return "\n".join(lines) + "\n"


def _commands(parser: argparse.ArgumentParser) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """The commands by name."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            yield from action.choices.items()


def _help_of(parser: argparse.ArgumentParser, name: str) -> str:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return next(each.help or "" for each in action._choices_actions if each.dest == name)
    return ""


def _actions(command: argparse.ArgumentParser) -> list[argparse.Action]:
    return [each for each in command._actions if each.help != argparse.SUPPRESS and "--help" not in each.option_strings]


def _flags(command: argparse.ArgumentParser) -> list[str]:
    return [flag for action in _actions(command) for flag in action.option_strings if flag.startswith("--")] + [
        "--help"
    ]


def _called(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else str(action.metavar or action.dest.upper())
    return " ".join(filter(None, [", ".join(action.option_strings), value]))


def _told(action: argparse.Action) -> str:
    return _roff(_sentence(action.help or ""))


def _synopsis(command: argparse.ArgumentParser, name: str) -> str:
    return " ".join(command.format_usage().split()).removeprefix(f"usage: idlewire {name}").strip()


def _verbatim(epilog: str | None) -> list[str]:
    if not epilog:
        return []
    return [".PP", ".nf", *(_roff(line) for line in epilog.splitlines()), ".fi"]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("." if text and text[-1] not in ".?!" else "")


def _lowered(text: str) -> str:
    return (text[:1].lower() + text[1:]).rstrip(".")


def _roff(text: str) -> str:
    """Escaped: backslashes, hyphens that are minus signs, and lines that would be requests."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


def _single(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _zsh_flag(action: argparse.Action) -> str:
    flag = next(each for each in action.option_strings if each.startswith("--"))
    told = (action.help or "").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")
    return _single(f"{flag}[{told}]" if action.nargs == 0 else f"{flag}[{told}]:{action.metavar or 'value'}:_files")


if __name__ == "__main__":
    sys.exit(main())
