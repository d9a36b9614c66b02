"""Engines that count where the data are; `make test-engines` installs what their tests need."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest


def _without(reason: str) -> None:
    """Skip a test, or let it fail where all tests with engines have to run."""
    if os.environ.get("FAIRVISION_ENGINES"):
        pytest.fail(f"{reason}: .ci/java and `pip install '.[engines]'` bring it")
    pytest.skip(f"{reason}: see make test-engines")


@pytest.fixture(scope="session")
def spark() -> Iterator[Any]:
    """A session of Spark with two workers on this machine."""
    if find_spec("pyspark") is None:
        _without("pyspark is not installed")
    if not (os.environ.get("JAVA_HOME") or shutil.which("java")):
        _without("there is no Java for Spark")
    from pyspark.sql import SparkSession

    settings = {
        "spark.driver.host": "127.0.0.1",
        "spark.driver.bindAddress": "127.0.0.1",
        "spark.sql.shuffle.partitions": "2",
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYSPARK_PYTHON", sys.executable)  # of the workers, which need pyarrow too
        session = SparkSession.builder.master("local[2]").config(map=settings).getOrCreate()
        yield session
        session.stop()


@pytest.fixture(scope="session")
def ray() -> Iterator[Any]:
    """Ray on this machine, with two processors for tasks and actors."""
    if find_spec("ray") is None:
        _without("ray is not installed")
    import ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
        ray.init(
            num_cpus=2,
            num_gpus=0,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=200_000_000,
            logging_level="ERROR",
        )
        yield ray
        ray.shutdown()
