from __future__ import annotations

import json
import math
import warnings

import pandas as pd
import pytest

from fairvision import captions
from fairvision.errors import InputError
from fairvision.exporting import export
from fairvision.results.audit_folder import read_audit

hub = pytest.importorskip("huggingface_hub", reason="needs huggingface_hub")


@pytest.fixture
def cards(finished, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    export(finished, to="card", output=tmp_path / "cards")
    return tmp_path / "cards"


def test_the_metadata_are_the_figures(finished, cards):
    metrics = read_audit(finished).metrics
    for model in ("base", "other"):
        card = hub.ModelCard.load(cards / model / "README.md")
        assert card.data.model_name == model
        results = card.data.eval_results
        rows = metrics[(metrics["model"] == model) & (metrics["label"] == "")]
        rows = rows[rows["value"].notna()].reset_index(drop=True)
        assert len(results) == len(rows) > 20
        by_name = {(r.metric_type, r.metric_name): r for r in results}
        row = rows.query("metric == 'accuracy' and group == '<i>|old' and task == ''").iloc[0]
        result = by_name["accuracy", "Accuracy on age (age: <i>|old)"]
        assert result.metric_value == row["value"]
        assert result.metric_args == {
            "confidence": 0.95,
            "low": row["low"],
            "high": row["high"],
            "n": row["n"],
        }
        assert (result.dataset_split, result.task_type) == ("test", "image-classification")
        assert all(math.isfinite(r.metric_value) for r in results)


def test_the_text_has_every_figure_and_nothing_runs(cards):
    text = (cards / "other" / "README.md").read_text().partition("\n---\n")[2]
    lines = text.splitlines()
    assert "| Accuracy on age | age\\: none | undefined |  | 0 |" in lines
    begins = "| Accuracy on age | age\\: \\<i\\>\\|old |"
    (line,) = [x for x in lines if x.startswith(begins) and "%" in x]
    assert "95% interval" in text
    assert line.count(" | ") == 4
    assert "## Differences from base" in text
    assert "<" not in text.replace("\\<", "")
    assert "fair model" not in text
    assert "## Differences" not in (cards / "base" / "README.md").read_text()


def test_cards_are_replaced_only_if_asked(finished, cards):
    with pytest.raises(ValueError, match="--overwrite"):
        export(finished, to="card", output=cards)
    export(finished, to="card", output=cards, overwrite=True)
    assert {path.name for path in cards.iterdir()} == {"base", "other", "cards.json"}


def test_an_audit_of_captions_has_cards_too(tmp_path):
    table = {"image_id": range(20), "gender": ["woman", "man"] * 10}
    pd.DataFrame(table).to_csv(tmp_path / "labels.csv", index=False)
    entries = [{"image_id": i, "caption": "a man on skis"} for i in range(20)]
    (tmp_path / "A.json").write_text(json.dumps(entries))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        captions(
            tmp_path / "A.json",
            labels=tmp_path / "labels.csv",
            output=tmp_path / "audit",
            replicates=10,
            rounds=0,
        )
    export(tmp_path / "audit", to="card", output=tmp_path / "cards")
    results = hub.ModelCard.load(tmp_path / "cards" / "A" / "README.md").data.eval_results
    (error,) = [r for r in results if r.metric_type == "error" and "woman" in r.metric_name]
    assert (error.metric_value, error.task_type) == (1, "image-to-text")
    with pytest.raises(InputError, match="is an audit of captions: fiftyone takes one of models"):
        export(tmp_path / "audit", to="fiftyone", data=tmp_path, output=tmp_path / "out")
