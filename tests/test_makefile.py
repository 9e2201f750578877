"""The Python that `make` takes, and the places that say which versions those may be."""

import re
import shutil
import subprocess
import sys
import tomllib

import pytest

from tiny import ROOT

MAKEFILE = (ROOT / "Makefile").read_text()
VERSIONS = re.search(r"^VERSIONS := (.*)$", MAKEFILE, re.MULTILINE).group(1).split()
# What a version of Python answers to `-c` is answered by the one at hand, which says that it is it.
INTERPRETER = """#!/bin/sh
[ "$1" = -c ] && exec {python} -c "import sys; sys.version_info = {version}; exec(sys.argv[1])" "$2"
[ "$1 $2" = "-m venv" ] && /bin/mkdir -p "$3/bin" && echo "{name}" >"$3/made_by" &&
    echo "#!/bin/sh" >"$3/bin/python" && /bin/chmod +x "$3/bin/python"
"""
NOT_SELECTED = "#!/bin/sh\necho 'pyenv: {name}: command not found' >&2\nexit 127\n"
WITHOUT_VENV = """#!/bin/sh
exec {python} -c "import sys; sys.modules['ensurepip'] = None; exec(sys.argv[1])" "$2"
"""


@pytest.fixture
def make(tmp_path):
    """Makes the environment where these interpreters are found; gives who made it, and errors."""
    commands = tmp_path / "commands"
    commands.mkdir()
    (commands / "touch").symlink_to(shutil.which("touch"))

    def run(interpreters, *arguments):
        for name, about in interpreters.items():
            text = about if isinstance(about, str) else INTERPRETER
            version = (*about, 1) if text is INTERPRETER else None
            text = text.format(python=sys.executable, version=version, name=name)
            (commands / name).write_text(text)
            (commands / name).chmod(0o755)
        environment = tmp_path / "environment"
        done = subprocess.run(
            [shutil.which("make"), f"VENV={environment}", *arguments, f"{environment}/.installed"],
            cwd=ROOT,
            env={"PATH": str(commands)},
            capture_output=True,
            text=True,
            check=False,
        )
        made_by = environment / "made_by"
        assert (done.returncode == 0) == made_by.exists(), done.stderr
        return made_by.read_text().strip() if made_by.exists() else None, done.stderr

    return run


@pytest.mark.parametrize(
    ("interpreters", "taken"),
    [
        ({"python3": (3, 12), "python3.13": (3, 13)}, "python3"),
        ({"python3": (3, 9), "python3.12": (3, 12)}, "python3.12"),
        ({"python3": (3, 14), "python3.14": (3, 14), "python3.11": (3, 11)}, "python3.11"),
        ({"python3": NOT_SELECTED, "python3.12": (3, 12)}, "python3.12"),
        ({"python3": WITHOUT_VENV, "python3.11": (3, 11)}, "python3.11"),
    ],
)
def test_make_takes_the_first_python_that_runs_and_is_known(make, interpreters, taken):
    assert make(interpreters)[0] == taken


def test_make_takes_the_python_that_is_named(make):
    found = {"python3": (3, 12), "python3.11": (3, 11)}
    assert make(found, "PYTHON=python3.11")[0] == "python3.11"


@pytest.mark.parametrize("arguments", [(), ("PYTHON=python3.10",)])
def test_make_says_which_versions_do(make, arguments):
    found = {"python3": (3, 14), "python3.10": (3, 10), "python3.12": NOT_SELECTED}
    taken, errors = make(found, *arguments)
    assert taken is None
    assert "iqa_jax needs a Python of these versions: 3.13 3.12 3.11" in errors
    tried = arguments[0].removeprefix("PYTHON=") if arguments else "python3 python3.13"
    assert f"none of these is one: {tried}" in errors
    assert "command not found" not in errors and "Traceback" not in errors


def test_all_promise_the_same_versions():
    first, last = min(VERSIONS), max(VERSIONS)
    about = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    beyond = f"3.{int(last.split('.')[1]) + 1}"
    assert about["requires-python"] == f">={first},<{beyond}"
    words = ", ".join(sorted(VERSIONS)[:-1]) + f" or {last}"
    assert f"Python {words}" in (ROOT / "README.md").read_text()
    lock = (ROOT / "requirements.lock").read_text()
    assert f"for Python {words.replace(' or ', ' and ')}." in lock.replace("\n# ", " ")


@pytest.mark.parametrize(
    ("target", "asked", "then"),
    [
        (".scores", "-c requirements.lock -r requirements-score.txt", "-r requirements.lock"),
        (".installed", "-r requirements.lock", None),
    ],
)
def test_scoring_installs_what_it_needs_and_the_rest_all(tmp_path, target, asked, then):
    def asks(target):
        """Lists what pip is told to install."""
        done = subprocess.run(
            [shutil.which("make"), f"VENV={tmp_path}", f"{tmp_path}/{target}"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        return [line.partition(" install ")[2] for line in done.stdout.splitlines()
                if " -m pip " in line]  # fmt: skip

    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/python").write_text("#!/bin/sh\n")
    (tmp_path / "bin/python").chmod(0o755)
    (tmp_path / ".made").touch()
    (pip,) = asks(target)
    assert pip.endswith(asked) and ("--no-compile" in pip) == (target == ".scores")
    # The whole holds what scoring needs; what scoring needs is not the whole.
    other = {".scores": ".installed", ".installed": ".scores"}[target]
    assert [line.endswith(then) for line in asks(other)] == ([True] if then else [])
