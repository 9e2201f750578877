"""What makes a shell complete `iqa-jax`: `iqa-jax completion bash`, zsh or fish prints it.

Modes, flags, recipes and keys are written into the script, so that a shell completes at once and
need not start Python.
"""

import ml_collections

from configs import default
from iqa_jax.command_line import CONSOLE, recipe_names
from iqa_jax.mode_flags import FLAGS, MODES

_SHELLS = ("bash", "zsh", "fish")
# The modes that take a recipe, and so its keys.
_WITH_KEYS = [mode for mode, about in MODES.items() if "config" in about.flags]
_BASH = """# {console} completion bash: source <({console} completion bash)
_iqa_jax() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" flag= flags=
    COMPREPLY=()
    # Bash parts --flag=value into three words.
    if [[ $current == "=" ]]; then
        flag="${{COMP_WORDS[COMP_CWORD-1]}}" current=
    elif ((COMP_CWORD > 2)) && [[ ${{COMP_WORDS[COMP_CWORD-1]}} == "=" ]]; then
        flag="${{COMP_WORDS[COMP_CWORD-2]}}"
    fi
    if [[ -n $flag ]]; then
        compopt -o filenames 2>/dev/null
        [[ $flag == --config ]] && COMPREPLY=($(compgen -W "{recipes}" -- "$current"))
        COMPREPLY+=($(compgen -f -- "$current"))
        return
    fi
    if ((COMP_CWORD == 1)); then
        compopt -o filenames 2>/dev/null
        COMPREPLY=($(compgen -W "{modes} completion" -- "$current") $(compgen -f -- "$current"))
        return
    fi
    case ${{COMP_WORDS[1]}} in
{cases}
        completion) COMPREPLY=($(compgen -W "{shells}" -- "$current")); return ;;
        *) flags="{predict}" ;;
    esac
    [[ $current == --config.* && $flags == *" --config. "* ]] && flags="{keys}"
    compopt -o nospace 2>/dev/null
    COMPREPLY=($(compgen -W "$flags" -- "$current"))
}}
complete -F _iqa_jax {console}
"""
_ZSH = """#compdef {console}
# {console} completion zsh: put it into a folder of $fpath as _iqa-jax, or source it after compinit.
_iqa_jax() {{
    local -a flags
    if ((CURRENT == 2)); then
        local -a modes=(
{modes}
        )
        _describe mode modes
        _files
        return
    fi
    if [[ $PREFIX == --config.* && $words[2] == ({trainers}) ]]; then
        compadd -S '' -- {keys}
        return
    fi
    case $words[2] in
{cases}
        completion) compadd {shells}; return ;;
        *) flags=(
{predict}
        ) ;;
    esac
    _arguments '1:mode:' '*:file:_files' $flags
}}
compdef _iqa_jax {console}
"""


def bash() -> str:
    """Writes the script for bash."""
    cases = [f'        {mode}) flags="{_flags(mode)}" ;;' for mode in MODES]
    return _BASH.format(
        console=CONSOLE,
        recipes=" ".join(recipe_names()),
        modes=" ".join(MODES),
        shells=" ".join(_SHELLS),
        cases="\n".join(cases),
        predict=_flags("predict"),
        keys=" ".join(f"--config.{key}=" for key in _keys(default.get_config())),
    )


def zsh() -> str:
    """Writes the script for zsh."""
    modes = [f"            {_quoted(f'{mode}:{about.does}')}" for mode, about in MODES.items()]
    cases = [f"        {mode}) flags=(\n{_zsh_flags(mode)}\n        ) ;;" for mode in MODES]
    return _ZSH.format(
        console=CONSOLE,
        modes="\n".join(modes),
        shells=" ".join(_SHELLS),
        cases="\n".join(cases),
        predict=_zsh_flags("predict"),
        trainers="|".join(_WITH_KEYS),
        keys=" ".join(f"--config.{key}=" for key in _keys(default.get_config())),
    )


def fish() -> str:
    """Writes the script for fish."""
    command = f"complete -c {CONSOLE}"
    lines = [f"# {CONSOLE} completion fish | source"]
    for mode, about in MODES.items():
        lines.append(f"{command} -n __fish_use_subcommand -a {mode} -d {_quoted(about.does)}")
    lines.append(f"{command} -n __fish_use_subcommand -a completion -d 'Completion of a shell'")
    seen = "__fish_seen_subcommand_from"
    lines.append(f"{command} -n '{seen} completion' -f -a '{' '.join(_SHELLS)}'")
    for mode, about in MODES.items():
        for name in about.flags:
            values = f" -a '{' '.join(recipe_names())}'" if name == "config" else ""
            wants = " -r -F" + values if FLAGS[name].value else ""
            lines.append(
                f"{command} -n '{seen} {mode}' -l {name}{wants} "
                f"-d {_quoted(FLAGS[name].meaning(mode))}"
            )
    for key in _keys(default.get_config()):
        lines.append(f"{command} -n '{seen} {' '.join(_WITH_KEYS)}' -l config.{key} -r")
    return "\n".join(lines) + "\n"


SCRIPTS = {"bash": bash, "zsh": zsh, "fish": fish}


def _flags(mode: str) -> str:
    flags = [f"--{name}=" if FLAGS[name].value else f"--{name}" for name in MODES[mode].flags]
    return " ".join([*flags, *(["--config."] if mode in _WITH_KEYS else []), "--help"])


def _zsh_flags(mode: str) -> str:
    lines = []
    for name in MODES[mode].flags:
        flag, meaning = FLAGS[name], FLAGS[name].meaning(mode).replace(":", "\\:")
        meaning = meaning.replace("[", "(").replace("]", ")")
        action = f"=[{meaning}]:{flag.value}:_files" if flag.value else f"[{meaning}]"
        if name == "config":
            action = f"=[{meaning}]:{flag.value}:({' '.join(recipe_names())})"
        lines.append(" " * 12 + _quoted(f"--{name}{action}"))
    return "\n".join(lines)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _keys(config: ml_collections.ConfigDict, prefix: str = "") -> list[str]:
    """Lists every key of a config with those of its sections."""
    keys = []
    for name, value in config.items():
        if isinstance(value, ml_collections.ConfigDict):
            keys += _keys(value, f"{prefix}{name}.")
        else:
            keys.append(prefix + name)
    return keys
