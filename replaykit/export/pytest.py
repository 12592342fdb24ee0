"""A test file for pytest that needs httpx and nothing of ours: it fails while the bug is there."""

import re

from replaykit.bundle import Bundle
from replaykit.export.plan import plan_of
from replaykit.export.python import body, head

_TEST = '''

def {name}() -> None:
    """{says}"""
    try:
        code, why = outcome(None)
    except ValueError as error:
        pytest.skip(str(error))
    if code == 125:
        pytest.skip(why)

    assert code == 0, why


class Reports:
    """Hears what became of the test."""

    def __init__(self) -> None:
        self.heard: set[str] = set()
        self.is_interrupted = False

    def pytest_keyboard_interrupt(self) -> None:
        """Take down Ctrl-C, whose exit code a file that can't be collected has, too."""
        self.is_interrupted = True

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take down how the test, its setup or its teardown ended."""
        self.heard.add(report.outcome if report.when == "call" or report.outcome == "skipped" else f"{{report.when}}")


def main(arguments: list[str]) -> int:
    """Run this file alone, with the exit codes of a replay."""
    if arguments in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    try:
        if len(arguments) > 1 or any(each.startswith("-") for each in arguments):
            raise ValueError("it takes one URL and nothing else (--help tells more)")
        os.environ["URL"] = bases(arguments[0] if arguments else None)[0]
    except ValueError as error:
        print(f"usage: {{error}}", file=sys.stderr)
        return 129
    reports = Reports()
    pytest.main([__file__, "-q", "-rs", "-o", "addopts=", "-p", "no:cacheprovider"], plugins=[reports])
    if reports.is_interrupted:
        return 130
    return 1 if "failed" in reports.heard else 0 if "passed" in reports.heard else 125


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
'''

_NOTE = """\
Under pytest it fails while {fails}, and is skipped where it can't be judged; run by itself, with an exit code:
"""


def render(bundle: Bundle) -> str:
    """Return the test file. Raises UnexportableError for a bundle whose failure no script can show."""
    plan = plan_of(bundle)
    name = "test_" + re.sub(r"[^A-Za-z0-9_]", "_", plan.name)[:60]
    says = "The bug that was recorded is gone." if plan.finds_failure else "The service answers as it was recorded."
    if plan.unable:
        says = "What was recorded while faults were put in can be sent; by a script, nothing is judged."
    fails = "the bug is there" if plan.finds_failure else "the service answers otherwise"
    top = head(plan, f"{name}.py").replace("\n\n", f"\n\n{_NOTE.format(fails=fails)}\n", 1)
    return (
        top + "import os\nimport re\nimport sys\n\nimport pytest\n\n" + body(plan) + _TEST.format(name=name, says=says)
    )
