# The questions of bench/, asked of uvloop: the program is that of ../asyncio,
# only the loop is another.
import asyncio
import os
import sys

import uvloop

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "asyncio"))
sys.dont_write_bytecode = True
import bench  # noqa: E402

uvloop.install()
asyncio.run(bench.main())
