"""An audit in Weights & Biases: a run for each model, in one group, each with the report."""

from __future__ import annotations

import os
from pathlib import Path

from fairvision.core.extras import need
from fairvision.core.files import plain_name
from fairvision.errors import InputError
from fairvision.exporting.figure_names import logged_figures
from fairvision.results.audit_folder import AuditFolder


def log_to_wandb(audit: AuditFolder, *, output: str | Path | None, project: str) -> str:
    """Log an audit, and return where the files or the page of its first run are.

    `WANDB_MODE=offline` keeps it on this computer, for `wandb sync`. Neither the state of a
    repository nor what is known of the computer is logged.

    Parameters
    ----------
    output : folder in which wandb keeps its files; None for the one that it chooses
    project : name of the project
    """
    wandb = need("wandb", "tracking")
    if output is not None:
        Path(output).mkdir(parents=True, exist_ok=True)
    name = audit.folder.resolve().name
    places = []
    for model in audit.models:
        try:
            run = wandb.init(
                project=project,
                group=name,
                name=model,
                job_type="audit",
                dir=None if output is None else str(Path(output).absolute()),
                config={"fairvision": audit.version, **audit.settings, **audit.record(model)},
                reinit="create_new",
                settings=wandb.Settings(
                    console="off",
                    silent=True,
                    disable_code=True,
                    disable_git=True,
                    x_disable_meta=True,
                    x_disable_stats=True,
                    x_disable_machine_info=True,
                ),
            )
        except Exception as error:
            raise InputError(f"wandb: {error} (WANDB_MODE=offline needs no account)") from error
        with run:
            run.summary.update(logged_figures(audit.metrics, model, audit.models[0]))
            files = wandb.Artifact(f"audit-{plain_name(name)}", type="audit")
            for file in (audit.report, audit.table, audit.folder / audit.marker):
                files.add_file(str(file))
            run.log_artifact(files)
            places.append(os.path.dirname(run.dir) if run.offline else str(run.url))
    return places[0]
