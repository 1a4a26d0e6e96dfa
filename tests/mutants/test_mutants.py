"""The faults of `make mutants` can be made, and their tests are there."""

import re

from tests.mutants.mutations import ROOT, mutants

QUICK = ROOT / "tests/quick.txt"


def quick_tests():
    lines = QUICK.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_each_fault_has_its_place_and_tests_that_are_quick():
    every = mutants()
    assert len(every) >= 40
    assert len({mutant.name for mutant in every}) == len(every)
    for mutant in every:
        compile(mutant.applied(ROOT), mutant.file, "exec")
        assert mutant.new != mutant.old
        for test in mutant.tests:
            assert test.startswith(tuple(quick_tests())), test
            path, _, name = test.partition("::")
            text = (ROOT / path).read_text()
            assert re.search(rf"^def {name or 'test_'}", text, re.M), test
            before = text.partition(f"\ndef {name}(")[0].rsplit("\n\n", 1)[-1]
            assert not (name and "@pytest.mark.slow" in before), test


def test_what_make_quick_runs_is_there():
    for test in quick_tests():
        path, _, name = test.partition("::")
        assert (ROOT / path).exists(), test
        assert not name or f"\ndef {name}(" in (ROOT / path).read_text(), test
