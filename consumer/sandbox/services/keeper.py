"""Runs one command and outlives nobody: a command and a lifeline (standard input) go in, the
command's process id comes out on standard output and its end as the exit code.

When the lifeline closes, because its owner stopped, was interrupted or was killed, the command is
stopped and its data directory removed. A process of its own does this, since a killed owner can
clean up nothing. Standard library only: it is started by path, as `python -I -S keeper.py`.
"""

import argparse
import contextlib
import ctypes
import os
import select
import shutil
import signal
import subprocess
import sys
import time

PR_SET_PDEATHSIG = 1
CHECK_OWNER_SECONDS = 1.0  # a forked sibling may hold the lifeline open after the owner's death


def die_with_keeper() -> None:
    """Has the kernel kill the command should the keeper itself be killed (Linux only)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def stop(child: subprocess.Popen[bytes], stop_signal: int, grace: float) -> None:
    """Signals the command's process group, and kills it when the grace period is over."""
    for signal_number in (stop_signal, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal_number)
            os.killpg(child.pid, signal.SIGCONT)  # it may have been paused
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(grace)
            return


def remove(directory: str) -> None:
    """Removes a directory in which the command's own children may still be writing."""
    deadline = time.monotonic() + 5
    while os.path.exists(directory) and time.monotonic() < deadline:
        shutil.rmtree(directory, ignore_errors=True)
        time.sleep(0.01)


def main() -> int:
    """Runs the command until it ends (its exit code) or the lifeline closes (0)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--user", type=int, help="run as this user id")
    parser.add_argument("--group", type=int, help="run as this group id")
    parser.add_argument("--stop-signal", type=int, default=signal.SIGKILL)
    parser.add_argument("--grace", type=float, default=5.0)
    parser.add_argument("--remove", help="directory to remove once the lifeline has closed")
    parser.add_argument("command", nargs="+")
    wanted = parser.parse_args()

    owner = os.getppid()
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    told_to_stop: list[int] = []
    signal.signal(signal.SIGCHLD, lambda *_: None)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _: told_to_stop.append(received))

    child = subprocess.Popen(
        wanted.command,
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr.fileno(),
        process_group=0,
        user=wanted.user,
        group=wanted.group,
        extra_groups=None if wanted.user is None else [],
        preexec_fn=die_with_keeper,  # safe: this process has one thread
    )
    os.write(sys.stdout.fileno(), b"%d\n" % child.pid)

    lifeline = sys.stdin.fileno()
    while (code := child.poll()) is None:
        readable, _, _ = select.select([lifeline, wake_read], [], [], CHECK_OWNER_SECONDS)
        if wake_read in readable:
            os.read(wake_read, 1024)
        closed = lifeline in readable and not os.read(lifeline, 1024)
        if closed or told_to_stop or os.getppid() != owner:
            stop(child, wanted.stop_signal, wanted.grace)
            if wanted.remove:
                remove(wanted.remove)
            return 0
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main())
