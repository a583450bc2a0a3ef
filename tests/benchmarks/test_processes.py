from __future__ import annotations

import os

import pytest

from benchmarks.harness.processes import memory_mb, name_of, parse_stat, parse_status, using


def test_cpu_is_read_past_a_name_with_brackets_and_spaces():
    stat = "7 (a) b (c) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 9 9 20 0 1 0 5 1000 10"
    assert parse_stat(stat, 100) == 3.0


def test_memory_is_read_in_megabytes():
    assert parse_status("Name:\tx\nVmHWM:\t 2000 kB\nVmRSS:\t 1000 kB\n", "VmRSS") == 1.024


def test_a_process_that_has_ended_has_no_memory():
    with pytest.raises(ValueError, match="VmRSS"):
        parse_status("Name:\tx\nState:\tZ (zombie)\n", "VmRSS")


def test_this_process_uses_cpu_and_memory():
    with using({"own": os.getpid()}) as usage:
        began = os.times().user
        while os.times().user == began:  # until the kernel has counted a tick
            sum(range(10_000))
    assert usage.seconds > 0
    assert round(usage.cpu["own"] * os.sysconf("SC_CLK_TCK")) >= 1
    assert memory_mb(os.getpid()) <= memory_mb(os.getpid(), "VmHWM") < 10_000


def test_a_process_that_is_not_there_has_no_name():
    assert name_of(os.getpid())
    assert name_of(2**22 + 1) == ""
