"""Trains what a JSON file says, in every process that torchrun starts with this program."""

import json
import sys
from pathlib import Path

import fairvision

if __name__ == "__main__":
    for run in json.loads(Path(sys.argv[1]).read_text()):
        fairvision.train(**run)
