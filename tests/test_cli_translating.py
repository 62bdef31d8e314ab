import json

import numpy as np
import pandas as pd
import pytest
from fits import prior_fit
from typer.testing import CliRunner

import bayesma as bm
from bayesma.cli import app

RUNNER = CliRunner()


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fits")
    for name, variant in (("exponential", None), ("plateau", "plateau")):
        fit = prior_fit(bm.load_analysis("ketamine_pain", variant))
        (folder / name).mkdir()
        fit.save(folder / name / "fit.nc")
    return folder


def run(command, *args):
    return RUNNER.invoke(app, [command, *map(str, args)], env={"COLUMNS": "160"})


def ask(place, *more, command="translate"):
    folders = [place / "exponential", place / "plateau"]
    return run(command, *folders, "--at", "regimen=repeated", "--draws", 400, *more)


def test_translate_prints_what_python_finds_and_every_assumption(place):
    result = ask(place, "--delay", "7")
    assert result.exit_code == 0, result.stderr
    fits = [bm.load_fit(place / name) for name in ("exponential", "plateau")]
    human = bm.translate(fits, regimen="repeated", delay=7, draws=400)
    found = human.summary().iloc[0]
    text = " ".join(result.stdout.split())
    assert f"{found['median']:.2f} {found['ci_low']:.2f} {found['ci_high']:.2f}" in text
    for record in human.assumptions.records:
        assert record.name in text
    assert "Hackam & Redelmeier 2006" in text
    assert all(" ".join(note.split()) in text for note in human.notes)


def test_translate_as_json_with_assumptions_of_ones_own(place):
    result = ask(
        place, "--delay", "1,7", "--json", "--weights", "3,1",
        "--assume", "discrepancy=normal(0, 0.5)", "--assume", "between_species=none",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert [row["delay"] for row in found["records"]] == [1, 7]
    assert found["forms"] == {"exponential": 0.75, "plateau": 0.25}
    values = {record["name"]: record for record in found["assumptions"]}
    assert values["discrepancy"]["value"] == "Normal(0, 0.5)"
    assert values["discrepancy"]["source"] == "stated by the user"
    assert values["between_species"]["value"] == "none"
    assert found["half_life"][0]["median"] > 0


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--assume", "discrepancy=0.5", "normal"),
        ("--assume", "no_translaton=0.5", "did you mean 'no_translation'"),
        ("--assume", "no_translation=2", "a number from 0 to 1"),
        ("--assume", "exponent=normal(0)", "a number, none, yes, no, or a prior"),
        ("--weights", "1", "one number for each of exponential, plateau"),
        ("--dose", "5 mg", "mg/kg"),
        ("--to", "unicorn", "is not in the table of body weights"),
        ("--human", "nowhere.csv", "nowhere.csv: there is no such file"),
        ("--species", "vole", "'vole' is not in the data"),
    ],
)
def test_bad_options_are_one_clear_message(place, option, value, said):
    result = ask(place, "--delay", "7", option, value)
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


def test_species_is_an_option_of_its_own(place):
    result = run("translate", place / "exponential", "--by", "regimen=single", "--delay", "1",
                 "--at", "species=rat")  # fmt: skip
    assert result.exit_code == 2
    assert "species" in result.stderr


def test_human_evidence_is_positioned_and_its_scale_needs_an_sd(place, tmp_path):
    path = tmp_path / "human.csv"
    rows = pd.DataFrame(
        {"study": ["T"], "quantity": ["effect"], "regimen": ["repeated"], "delay": [7],
         "y": [-1.0], "se": [0.4], "unit": ["pain 0-10"], "direction": [-1]}
    )  # fmt: skip
    rows.to_csv(path, index=False)
    refused = ask(place, "--delay", "7", "--human", path)
    assert refused.exit_code == 2
    assert "SD" in refused.stderr
    result = ask(place, "--delay", "7", "--human", path, "--sd", 2, "--hold-out", "--json")
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    # 1.0 point less pain on an SD of 2.
    assert found["positions"][0]["observed"] == pytest.approx(0.5, rel=1e-12)
    assert found["updated"] is False


def test_budget_and_sensitivity_and_prior_are_printed_on_request(place, tmp_path):
    target = tmp_path / "prior.json"
    result = ask(place, "--delay", "7", "--sensitivity", "--prior", target, "--budget")
    assert result.exit_code == 0, result.stderr
    text = " ".join(result.stdout.split())
    assert "where its doubt comes from" in text
    assert "one assumption changed at a time" in text
    assert "patients per arm" in text
    assert json.loads(target.read_text(encoding="utf-8"))["meta"]["class"] == ["normMix", "mix"]


def test_assurance_prints_the_table_of_python(place, tmp_path):
    csv, png = tmp_path / "a.csv", tmp_path / "a.png"
    result = ask(
        place, "--delay", "7", "-n", "20,50", "--csv", csv, "--png", png, command="assurance"
    )
    assert result.exit_code == 0, result.stderr
    fits = [bm.load_fit(place / name) for name in ("exponential", "plateau")]
    human = bm.translate(fits, regimen="repeated", delay=7, draws=400)
    expected = bm.assurance(human, [20, 50]).table
    np.testing.assert_allclose(pd.read_csv(csv)["assurance"], expected["assurance"], rtol=1e-12)
    assert png.stat().st_size > 0
    assert "two-sided t test" in result.stdout


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("-n", "twenty"), "whole numbers of patients per arm"),
        (("-n", "20", "--png", "a.png"), "two sizes or more"),
        (("--margin", "0.2"), "--margin belongs to --probability"),
    ],
)
def test_assurance_refuses_what_it_cannot_plan(place, more, said):
    result = ask(place, "--delay", "7", *more, command="assurance")
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


def test_next_study_ranks_candidates_from_a_file(place, tmp_path):
    path = tmp_path / "candidates.csv"
    pd.DataFrame({"regimen": ["repeated", "single"], "delay": [7, 1], "n": [10, 10]}).to_csv(
        path, index=False
    )
    result = run(
        "next-study", place / "exponential", "--candidates", path, "--delay", "7",
        "--at", "regimen=repeated", "--to", "animals", "--json",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["records"][0]["rank"] == 1
    assert found["records"][0]["regimen"] == "repeated"
    assert 0 <= found["irreducible"] <= 1


def test_a_contrast_needs_two_levels(place, tmp_path):
    path = tmp_path / "candidates.csv"
    pd.DataFrame({"regimen": ["single"], "delay": [1], "n": [10]}).to_csv(path, index=False)
    result = run("next-study", place / "exponential", "--candidates", path, "--delay", "7",
                 "--of", "contrast", "--contrast", "regimen=single")  # fmt: skip
    assert result.exit_code == 2
    assert "two levels" in result.stderr


def test_json_holds_all_that_is_asked_and_nothing_else(place, tmp_path):
    target = tmp_path / "prior.json"
    result = ask(
        place, "--delay", "7", "--json", "--budget", "--sensitivity", "--prior", target,
        "--ci", "0.5",
    )  # fmt: skip
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert sum(row["shapley"] for row in found["budget"]) == pytest.approx(1, abs=1e-6)
    base = found["sensitivity"][0]
    assert base["assumption"] == "base"
    assert base["ci_low"] == found["records"][0]["ci_low"]
    assert found["prior"] == json.loads(target.read_text())
    assert found["half_life"][0]["ci_high"] == base["half_life_high"]


def test_the_sensitivity_is_of_the_answer_with_human_evidence(place, tmp_path):
    rows = {"study": ["a"], "y": [1.0], "se": [0.3], "delay": [7], "regimen": ["repeated"]}
    path = tmp_path / "human.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    result = ask(place, "--delay", "7", "--json", "--sensitivity", "--human", path)
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["sensitivity"][0]["median"] == found["records"][0]["median"]


def test_options_that_would_be_ignored_are_refused(place):
    for more, command, match in (
        (("--sd", 2), "translate", "--sd belongs to --human"),
        (("--hold-out",), "translate", "--hold-out belongs to --human"),
        (("--alpha", 0.01, "--probability", 0.9), "assurance", "are two rules: give one"),
    ):
        result = ask(place, "--delay", "7", *more, command=command)
        assert result.exit_code == 2
        assert match in result.stderr


def test_assurance_and_next_study_hold_their_assumptions(place, tmp_path):
    text = ask(place, "--delay", "7", "-n", "20", command="assurance")
    assert "Hackam & Redelmeier 2006" in " ".join(text.stdout.split())
    result = ask(place, "--delay", "7", "-n", "20", "--json", command="assurance")
    found = json.loads(result.stdout)
    assert {"no_translation", "exponent"} <= {one["name"] for one in found["assumptions"]}
    assert found["forms"] == {"exponential": 0.5, "plateau": 0.5}


def test_no_number_is_cut_short_on_a_narrow_page(monkeypatch, capsys):
    from bayesma.cli import printing

    monkeypatch.setattr(printing.OUT, "_width", 20)
    rows = [("a level", "12345678", "87654321", "11112222"), ("b", "1", "2", "3")]
    printing.print_cells(("name", "first", "second", "third"), rows, whole="name")
    out = capsys.readouterr().out
    assert all(number in out for number in rows[0])


def test_a_narrow_terminal_loses_no_column_of_a_wide_table(place, tmp_path):
    path = tmp_path / "human.csv"
    rows = {"study": ["T"], "quantity": ["effect"], "regimen": ["repeated"], "delay": [7]}
    pd.DataFrame({**rows, "y": [1.0], "se": [0.4]}).to_csv(path, index=False)
    folder = place / "exponential"
    asked = ["--at", "regimen=repeated", "--delay", "7", "--human", path, "--hold-out"]
    arguments = ["translate", folder, *asked, "--draws", 100]
    result = RUNNER.invoke(app, list(map(str, arguments)), env={"COLUMNS": "60"})
    assert result.exit_code == 0, result.stderr
    (head,) = [line for line in result.stdout.splitlines() if "conflict_p" in line]
    assert {"study", "quantity", "regimen", "observed", "position"} <= set(head.split())
