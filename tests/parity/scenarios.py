#!/usr/bin/python3
"""The Python half: runs the scenarios named, or all, and prints their logs."""
import sys

sys.dont_write_bytecode = True

import parity
import scenarios_order, scenarios_futures, scenarios_gather, scenarios_cancel  # noqa: E401
import scenarios_requests, scenarios_loop, scenarios_context, scenarios_differences  # noqa: E401
import scenarios_timeouts, scenarios_groups, scenarios_waiting, scenarios_sync, scenarios_eager  # noqa: E401

if __name__ == "__main__":
    for name, one in parity.scenarios.items():
        if len(sys.argv) < 2 or name in sys.argv:
            parity.run(one)
