from __future__ import annotations

import re
import signal
import subprocess
import sys

import pytest

import quickvision

ROOT = [sys.executable, "-m", "quickvision"]


def run(*args, cwd=None, timeout=300):
    return subprocess.run(
        [*ROOT, *map(str, args)], capture_output=True, text=True, cwd=cwd, timeout=timeout
    )


def test_help_lists_the_commands_without_loading_torch():
    done = run("--help")
    assert done.returncode == 0
    assert "demo" in done.stdout
    assert "train" in done.stdout
    code = "import sys, quickvision.cli.commands; print('torch' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "False\n"


def test_version():
    assert run("--version").stdout == f"quickvision {quickvision.__version__}\n"


@pytest.mark.slow
def test_train_writes_a_run_and_exits_0(class_folders, tmp_path):
    done = run(
        "train", class_folders, "--arch", "timm/test_resnet", "--weights", "none", "--size", 32,
        "--bs", 6, "--frozen-epochs", 0, "--unfrozen-epochs", 1, "--seed", 1, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "\r" not in done.stdout
    assert re.search(r"accuracy +\d+\.\d% \(.*n=7\)", done.stdout)
    assert "written to   runs/colours-001" in done.stdout
    assert (tmp_path / "runs" / "colours-001" / "confusion.png").stat().st_size > 0


def test_a_report_is_written_again_and_opened(command, class_folders, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    how = {"arch": "timm/test_resnet", "weights": None, "size": 32, "bs": 6, "check": False}
    run = quickvision.train(class_folders, out=tmp_path, unfrozen_epochs=1, verbose=False, **how)
    page = run.path / "report.html"
    page.unlink(missing_ok=True)
    done = command("report", run.path)
    assert (done.returncode, done.stdout) == (0, f"{page}\n")
    assert page.is_file()
    assert not opened
    assert command("report", run.path, "--open").returncode == 0
    assert opened == [page.as_uri()]
    done = command("report", class_folders)
    assert done.returncode == 1
    assert "expected the folder of a run" in done.stderr


@pytest.mark.slow
def test_the_options_of_speed(command, named_files, tmp_path):
    import safetensors.torch
    import timm

    weights = tmp_path / "net.safetensors"
    safetensors.torch.save_file(timm.create_model("test_resnet").state_dict(), weights)
    options = ["train", named_files, "--pattern", r"^(.+)_", "--arch", "timm/test_resnet"]
    options += ["--weights", weights, "--size", 32, "--bs", 6, "--num-workers", 0]
    done = command(*options, "--views", 1, "--budget", "2s", "--precision", "float32")
    assert done.returncode == 0, done.stderr
    assert "frozen (on cached features)" in done.stdout
    done = command(*options, "--no-cache-features", "--unfrozen-epochs", 0)
    assert done.returncode == 0, done.stderr
    assert "cached" not in done.stdout


@pytest.mark.slow
def test_train_by_pattern_with_a_bad_file(command, named_files, tmp_path):
    (named_files / "red_99.jpg").write_text("not a picture")
    done = command(
        "train", named_files, "--pattern", r"^(.+)_\d+\.(?:png|jpg)$", "--arch", "timm/test_resnet",
        "--weights", "none", "--size", 32, "--bs", 6, "--frozen-epochs", 1, "--unfrozen-epochs", 0,
        "--out", tmp_path / "elsewhere",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith("warning: left out 1 of 31 pictures: red_99.jpg (not a picture")
    assert (tmp_path / "elsewhere" / "named-001" / "skipped.csv").exists()


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (["gone"], 1, "error: expected a folder of pictures, got nothing at gone"),
        (["data", "--arch", "resnte34"], 1, "error: expected a model of torchvision or timm"),
        (
            ["data", "--weights", "gone.pth"],
            1,
            "error: --weights: expected 'default', 'none' or a file, got nothing at gone.pth",
        ),
        (["data", "--precision", "bf16"], 1, "error: --precision: expected 'float32' on this cpu"),
        (
            ["data", "--precision", "int8"],
            2,
            "error: --precision: expected 'auto', 'float32', 'bf16' or",
        ),
        (["data", "--budget", "soon"], 2, "expected a time such as '10min' or seconds"),
        (["data", "--views", "1", "--no-cache-features"], 2, "--views goes with cached features"),
        (["data", "--views", "-1"], 2, "error: --views: expected a whole number from 0, got -1"),
        (
            ["data", "--bs", "many"],
            2,
            "error: --bs: expected 'auto' or a whole number from 2, got 'many'",
        ),
        (["data", "--valid", "20"], 2, "error: --valid: expected a fraction"),
        (["data", "--pattern", "(.+"], 2, "expected a regular expression"),
        (["data", "--frozen-epochs", "0", "--unfrozen-epochs", "0"], 2, "expected epochs to train"),
        ([], 2, "error: expected PATH (class folders, train and val, names, or a CSV file), got"),
        (
            ["data", "--siz", "3"],
            2,
            "error: expected an option of quickvision train, got --siz; did",
        ),
        (["data", "more"], 2, "error: expected quickvision train PATH, got more: more"),
    ],
)
def test_bad_input_is_one_line_and_the_right_code(
    command, class_folders, tmp_path, args, code, says
):
    class_folders.rename(tmp_path / "data")
    done = command("train", *args)
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == code
    assert not (tmp_path / "runs").exists()


@pytest.mark.real
@pytest.mark.slow
def test_ants_and_bees_reach_ninety_percent(real_data, tmp_path):
    done = run(
        "train", real_data / "data" / "hymenoptera", "--arch", "mobilenet_v2", "--weights",
        real_data / "weights" / "mobilenet_v2_imagenet.pth", "--unfrozen-epochs", 0,
        cwd=tmp_path, timeout=1500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "imageNotFound.gif" in done.stderr
    summary = done.stdout.rsplit("\n\n", 1)[1]
    assert float(re.search(r"accuracy +([\d.]+)% .*n=153\)", summary)[1]) >= 90
    assert re.search(r"confused +(ants taken for bees|bees taken for ants) \(\d+\)", summary)
    assert "left out     1 picture" in summary


def test_training_choices_reach_the_run(command, class_folders, tmp_path):
    done = command(
        "train", class_folders, "--arch", "timm/test_resnet", "--weights", "none", "--size", 32,
        "--bs", 6, "--frozen-epochs", 0, "--unfrozen-epochs", 4, "--lr", "0.01", "--opt", "sgd",
        "--schedule", "constant", "--patience", 2, "--head", "linear", "--mixup", 0.2,
        "--label-smoothing", 0.1, "--tta", 1,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "with 1 augmented looks" in done.stdout
    assert "best.pth" in [p.name for p in (tmp_path / "runs/colours-001/checkpoints").iterdir()]


# Epochs of a tiny net take milliseconds: with a pause after each, no signal can come too late.
PAUSED = """
import signal, time
from quickvision.cli import main
from quickvision.training.records import EpochLog

def after_epoch(self, ours=EpochLog.after_epoch):
    ours(self)
    time.sleep(0.5)

EpochLog.after_epoch = after_epoch
signal.signal(signal.SIGINT, signal.default_int_handler)  # a background ignores it
main()
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no SIGINT for one process there")
def test_ctrl_c_says_how_to_go_on_and_exits_130(command, class_folders, tmp_path):
    args = (
        "train", class_folders, "--arch", "timm/test_resnet", "--weights", "none", "--size", "32",
        "--bs", "6", "--frozen-epochs", "0", "--unfrozen-epochs", "30", "--lr", "0.01",
    )  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-c", PAUSED, *map(str, args)],
        cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("unfrozen 2/30"):
            process.send_signal(signal.SIGINT)
            break
    rest, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in errors
    said = "".join(said) + rest
    assert re.search(r"kept +the best so far, unfrozen epoch \d+: .*best.pth", said)
    words = re.search(r"stopped +to go on: quickvision (resume \S+)", said)[1]
    done = command(*words.split())
    assert done.returncode == 0, done.stderr
    assert "unfrozen 30/30" in done.stdout
    assert re.search(r"\nresumed +runs/colours-001, (from its start|after unfrozen)", done.stdout)


def test_a_finished_run_is_trained_further(command, class_folders, tmp_path):
    shown = re.sub(r"\s+", " ", command("resume", "--help").stdout)
    assert "--more-epochs" in shown
    assert "quickvision resume runs/pets-001 --more-epochs 3" in shown
    done = command(
        "train", class_folders, "--arch", "timm/test_resnet", "--weights", "none", "--size", "32",
        "--bs", "6", "--frozen-epochs", "0", "--unfrozen-epochs", "1", "--lr", "0.01",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    done = command("resume", "runs/colours-001")
    words = re.search(r"complete .*quickvision (resume \S+ --more-epochs 3)", done.stdout)[1]
    done = command(*words.split())
    assert done.returncode == 0, done.stderr
    assert "unfrozen-2 3/3" in done.stdout
    done = command("resume", "runs/colours-001", "--more-epochs", 0)
    assert done.returncode == 2
    class_folders.rename(tmp_path / "moved")
    done = command("resume", "runs/colours-001")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.endswith("quickvision resume runs/colours-001 --data ...\n")
    done = command("resume", "runs/colours-001", "--data", "moved", "--more-epochs", 1)
    assert "unfrozen-3 1/1" in done.stdout


@pytest.mark.slow
def test_what_cannot_be_resumed_is_one_line(tmp_path):
    """In a process of its own, as a user starts it: the exit code and both streams are real."""
    done = run("resume", "runs/pets-001", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("error: expected the folder of a run, got nothing at runs/pets-")


def test_models_are_listed(command):
    done = command("models", "test_resn*")
    assert done.returncode == 0
    assert "test_resnet" in done.stdout
    done = command("models", "no_such_model")
    assert done.returncode == 1
    assert done.stderr == "error: expected models whose names match 'no_such_model', got none\n"
    assert "did you mean 'resnet34'" in command("models", "resnte34").stderr


def test_help_is_not_cut_and_fits_into_80_columns(command, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    names = re.findall(r"^  ([a-z]+) ", command("--help").stdout, re.MULTILINE)
    assert len(names) == 12
    for arguments in (["--help"], *([name, "--help"] for name in names)):
        said = command(*arguments).stdout
        assert not re.search(r"\.\.\.$", said.partition("\n")[2], re.MULTILINE)
        assert max(map(len, said.splitlines())) <= 80


def test_the_summary_and_the_warnings_name_commands_and_files(command, class_folders):
    (class_folders / "red" / "bad.png").write_text("no picture")
    done = command(
        "train", class_folders, "--arch", "timm/test_resnet", "--weights", "none", "--size", "32",
        "--bs", "6", "--frozen-epochs", "0", "--unfrozen-epochs", "1", "--lr", "0.01", "--no-plots",
    )  # fmt: skip
    assert done.returncode == 0
    assert "; skipped.csv in the run's folder lists them" in done.stderr
    assert "left out     1 picture, see runs/colours-001/skipped.csv" in done.stdout
    assert f"layout       quickvision train {class_folders}" in done.stdout
    assert not re.search(r"\bqv\.|\brun\.\w|\bdls\.|=True|=None", done.stdout + done.stderr)
