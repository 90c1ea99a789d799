from __future__ import annotations

import pytest

import quickvision as qv


@pytest.fixture
def pretrained(options):
    """The options, of a net that is taken as pretrained; epochs are for the mode to say."""
    del options["frozen_epochs"], options["unfrozen_epochs"]
    return options | {"weights": "default"}


def stages(run):
    return run.history.groupby("stage")["epoch"].max().to_dict()


class TestAntsAndBees:
    def test_both_are_two_runs_on_the_same_pictures(self, insects, pretrained, capsys):
        epochs = {"frozen_epochs": 2, "unfrozen_epochs": 1}
        run = qv.train_ants_bees(insects, **epochs, **pretrained | {"verbose": True})
        frozen = run.baseline
        assert stages(run) == {"unfrozen": 1}
        assert stages(frozen) == {"frozen": 2}
        assert run.preds.paths == frozen.preds.paths
        assert len(run.preds) == 8
        assert [r.path.name for r in (frozen, run)] == [
            "ants-bees-features-001",
            "ants-bees-finetune-001",
        ]
        said = capsys.readouterr().out
        assert f"features     {frozen.accuracy}\nfinetune     {run.accuracy}\n" in said
        assert "returned     the run of finetune; its .baseline is the run of features" in said

    @pytest.mark.parametrize(
        ("mode", "epochs", "done"),
        [
            ("features", {"frozen_epochs": 1}, {"frozen": 1}),
            ("finetune", {"unfrozen_epochs": 2}, {"unfrozen": 2}),
            ("finetune", {"frozen_epochs": 0, "unfrozen_epochs": 1}, {"unfrozen": 1}),
            ("features", {}, {"frozen": 5}),
        ],
    )
    def test_one_mode_is_one_run(self, insects, pretrained, mode, epochs, done):
        run = qv.train_ants_bees(insects.parent, mode=mode, **epochs, **pretrained)
        assert stages(run) == done
        assert run.baseline is None

    def test_a_name_is_taken_over(self, insects, pretrained):
        run = qv.train_ants_bees(
            insects, mode="finetune", unfrozen_epochs=1, name="mine", **pretrained
        )
        assert run.path.name == "mine-finetune-001"

    def test_all_layers_may_start_from_scratch(self, insects, pretrained):
        run = qv.train_ants_bees(
            insects, mode="finetune", unfrozen_epochs=1, **pretrained | {"weights": None}
        )
        assert stages(run) == {"unfrozen": 1}

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"mode": "frozen"}, "mode: expected one of both, features, finetune, got 'frozen'"),
            ({"mode": "features", "unfrozen_epochs": 2}, "unfrozen_epochs: .*has none, got 2"),
            ({"mode": "finetune", "frozen_epochs": 2}, "frozen_epochs: .*has none, got 2"),
            ({"mode": "both", "frozen_epochs": 0}, "frozen_epochs: expected at least 1 .*got 0"),
            ({"unfrozen_epochs": 0}, "unfrozen_epochs: expected at least 1 for mode='both'"),
            ({"mode": "features", "frozen_epochs": -1}, "expected at least 1 .* got -1"),
            ({"weights": None}, "weights: expected some for mode='both'"),
        ],
    )
    def test_what_contradicts_the_mode_is_said_before_anything_is_fetched(self, given, said):
        with pytest.raises(ValueError, match=said):
            qv.train_ants_bees(**given)

    def test_a_folder_that_is_not_there(self, tmp_path):
        with pytest.raises(qv.DataError, match="expected a folder of pictures, got nothing at"):
            qv.train_ants_bees(tmp_path / "no")


@pytest.mark.real
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::quickvision.DataWarning")
def test_real_ants_and_bees_in_both_modes(real_data, tmp_path):
    run = qv.train_ants_bees(
        path=real_data / "data" / "hymenoptera",
        arch="mobilenet_v2",
        weights=real_data / "weights" / "mobilenet_v2_imagenet.pth",
        size=96,
        frozen_epochs=4,
        unfrozen_epochs=3,
        lr=3e-3,
        out=tmp_path,
        verbose=False,
    )
    frozen = run.baseline
    assert stages(frozen) == {"frozen": 4}
    assert stages(run) == {"unfrozen": 3}
    assert run.preds.paths == frozen.preds.paths
    assert run.accuracy.n == 153
    assert frozen.accuracy.value > 0.7
    assert run.accuracy.value > 0.7
