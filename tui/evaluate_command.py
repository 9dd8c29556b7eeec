"""`kshot evaluate`: accuracy or error of one run after 0..k inner steps."""

from collections.abc import Mapping
from typing import Any

from tui import options as given
from tui.output import emit, emit_json, terminal_width


def evaluate(
    run: given.RunName,
    set_: given.Set = None,
    device: given.Device = None,
    json: given.Json = False,
    runs_dir: given.RunsDir = None,
    data_dir: given.DataDir = None,
) -> int:
    """Test a run's best checkpoint.

    --set evaluation.steps=20 and the like change the test."""
    from engine.data import check_task_fits
    from engine.errors import RequestError
    from engine.presets import load_spec
    from engine.runs import find_run, read_status
    from engine.runs.reports import evaluation_report
    from engine.runs.testing import Test, Tests, spec_of_test, tested_checkpoint
    from tui.progress import follow

    for text in given.overrides(set_, None):
        if not text.startswith(("evaluation.", "task.")):
            raise RequestError(
                f"--set {text}: a test can change evaluation.* and task.* only; "
                "kshot runs fork trains anew with other values"
            )
    runs_folder, data_folder = given.folders(runs_dir, data_dir)
    found = find_run(runs_folder, run)
    laid_over = [*given.overrides(set_, None), *([] if device is None else [f"device={device}"])]
    asked = load_spec(found.spec_path, overrides=laid_over)
    spec = spec_of_test(load_spec(found.spec_path), asked, found.id)
    check_task_fits(spec, data_folder)
    if tested_checkpoint(found, read_status(found)) is None:
        raise RequestError(f"run {found.id} is {read_status(found).state} and has no checkpoint to test yet")
    tests = Tests(data_folder)
    test = Test(found, spec, spec.origin.algorithm)
    tests.request([test])
    try:
        follow([], tests.tests, tests.poll, lambda: tests.done)
    except KeyboardInterrupt:
        tests.cancel()
        return 130
    if test.result is None:
        from tui.output import say

        say(f"{found.id}: {test.error}")
        return 1
    report = evaluation_report(found.id, test.result)
    if json:
        emit_json(report)
    else:
        emit(text_report(report, terminal_width()))
    return 0


def text_report(report: Mapping[str, Any], width: int) -> str:
    """An evaluation as text: one line for each number of steps."""
    from tui.numbers import interval, metric_words
    from tui.output import columns, wrap
    from tui.protocol_text import over_what, protocol_parts
    from tui.table_notes import choice_text
    from tui.tables import takes_steps

    title = (
        f"{report['run']}: {report['algorithm']} on {report['task']}, "
        f"{metric_words(report['metric'])}, {report['episodes']:,} test episodes, "
        f"checkpoint of step {report['checkpoint_step']:,}"
    )
    lines = [wrap(title, width), ""]
    if not takes_steps(report):
        lines.append(f"  {interval(report['after'], report['metric'])}")
    else:
        after = report["after"]["step"]
        rows = [
            [
                f"{entry['step']:,}",
                interval(entry, report["metric"]),
                "after" if entry["step"] == after else "",
            ]
            for entry in report["steps"]
        ]
        lines.append(columns(["steps", report["metric"], ""], rows, right=(0, 1)))
    lines.append("")
    if report["chosen"]:
        lines.append(wrap(f"Chosen: {choice_text(report['chosen'])}", width, "  "))
    told = [*protocol_parts(report["protocol"]), over_what([report["after"]])]
    lines.append(wrap("Protocol: " + "; ".join(told), width, "  "))
    return "\n".join(lines)
