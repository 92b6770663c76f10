"""The package: typed, and its stubs say what the module is."""

from __future__ import annotations

import importlib.resources
import subprocess
import sys

import framelane as fl


def test_the_stubs_match_the_module():
    command = [sys.executable, "-m", "mypy.stubtest", "framelane"]
    checked = subprocess.run(command, capture_output=True, text=True, cwd="/")
    assert checked.returncode == 0, checked.stdout


def test_the_package_passes_a_type_checker():
    command = [sys.executable, "-m", "mypy", "--strict", "-p", "framelane"]
    checked = subprocess.run(command, capture_output=True, text=True, cwd="/")
    assert checked.returncode == 0, checked.stdout


def test_it_says_that_it_is_typed_and_what_it_offers():
    assert importlib.resources.files(fl).joinpath("py.typed").is_file()
    assert all(hasattr(fl, name) for name in fl.__all__)
