"""The part of a loop that waits for child processes."""
import asyncio
import os
import sys
from asyncio import unix_events

if sys.version_info < (3, 12):
    _threads = asyncio.ThreadedChildWatcher()


class Children:
    """Waits by a process' own descriptor, where asyncio 3.11 has a thread for each child."""

    _pidfds = None  # of children that have not ended

    if sys.version_info < (3, 12):  # later ones do so by themselves
        async def _make_subprocess_transport(self, protocol, args, shell, stdin, stdout, stderr, bufsize,
                                             extra=None, **kwargs):
            watcher = getattr(asyncio.get_event_loop_policy(), '_watcher', None)
            if watcher is not None and type(watcher) is not asyncio.ThreadedChildWatcher:
                return await super()._make_subprocess_transport(protocol, args, shell, stdin, stdout, stderr,
                                                                bufsize, extra, **kwargs)
            waiter = self.create_future()
            transport = unix_events._UnixSubprocessTransport(
                self, protocol, args, shell, stdin, stdout, stderr, bufsize, waiter=waiter, extra=extra,
                **kwargs)
            self._watch_child(transport)
            try:
                await waiter
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException:
                transport.close()
                await transport._wait()
                raise
            return transport

        def _watch_child(self, transport):
            pid = transport.get_pid()
            try:
                pidfd = os.pidfd_open(pid)
            except OSError:
                # No such call (sandboxes, Valgrind), or too many open files: a thread, as in asyncio.
                _threads.add_child_handler(pid, self._child_watcher_callback, transport)
                return
            if self._pidfds is None:
                self._pidfds = set()
            self._pidfds.add(pidfd)
            self._add_reader(pidfd, self._child_ended, pidfd, pid, transport)

        def _child_ended(self, pidfd, pid, transport):
            self._remove_reader(pidfd)
            self._pidfds.discard(pidfd)
            os.close(pidfd)
            try:
                _, status = os.waitpid(pid, 0)
            except ChildProcessError:
                returncode = 255
                unix_events.logger.warning(
                    'child process pid %d exit status already read:  will report returncode 255', pid)
            else:
                returncode = unix_events.waitstatus_to_exitcode(status)
            self._child_watcher_callback(pid, returncode, transport)

    def _forget_children(self):
        while self._pidfds:
            os.close(self._pidfds.pop())
