"""A child that is killed before or after any one of its I/O calls, by the kernel's own count.

The child is traced (ptrace), so that what SQLite and MLflow do in C is counted like what we do:
every system call that changes a file, a name, or what is on disk for certain.
"""

import ctypes
import os
import platform
import signal
import struct
from collections.abc import Callable

import pytest

Action = Callable[[], object]
Fork = Callable[[Action], int]  # the process id of a child that calls the action and ends

# System calls by number; those of the other architecture have their own.
CHANGES = {
    "x86_64": {
        1: "write", 18: "pwrite64", 20: "writev", 296: "pwritev", 2: "open", 257: "openat",
        85: "creat", 82: "rename", 264: "renameat", 316: "renameat2", 87: "unlink",
        263: "unlinkat", 83: "mkdir", 258: "mkdirat", 84: "rmdir", 76: "truncate",
        77: "ftruncate", 74: "fsync", 75: "fdatasync", 90: "chmod", 91: "fchmod", 268: "fchmodat",
        40: "sendfile", 326: "copy_file_range", 86: "link", 265: "linkat", 88: "symlink",
        280: "utimensat", 285: "fallocate",
    },
    "aarch64": {
        64: "write", 68: "pwrite64", 66: "writev", 70: "pwritev", 56: "openat", 38: "renameat",
        276: "renameat2", 35: "unlinkat", 34: "mkdirat", 45: "truncate", 46: "ftruncate",
        82: "fsync", 83: "fdatasync", 52: "fchmod", 53: "fchmodat", 71: "sendfile",
        285: "copy_file_range", 37: "linkat", 36: "symlinkat", 88: "utimensat", 47: "fallocate",
    },
}  # fmt: skip
FLAGS = {"open": 1, "openat": 2}  # which argument says whether a file is made or emptied
THREADS = {"x86_64": (56, 435), "aarch64": (220, 435)}  # clone, clone3: nobody traces what it makes

TRACEME, CONTINUE, SETOPTIONS, GET_SYSCALL_INFO = 0, 24, 0x4200, 0x420E
GOOD, EXITKILL = 1, 1 << 20
ENTRY, EXIT = 1, 2
STOPPED = signal.SIGTRAP | 0x80

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4
libc.ptrace.restype = ctypes.c_long


def io_calls(fork: Fork, function: Action, look: Callable[[], object] | None = None) -> list[str]:
    """The I/O calls of ``function``, in a child that nothing disturbs.

    ``look`` is called before each of them, with the child standing still: what it sees on disk is
    what a kill there would leave.
    """
    calls, code = _traced(fork, function, 0, before=True, look=look)
    assert code == 0, code
    return calls


def kill_at(fork: Fork, function: Action, call: int, *, before: bool) -> None:
    """Call ``function`` in a child, killed before or after its I/O call number ``call``, from 1."""
    calls, code = _traced(fork, function, call, before=before)
    assert (len(calls), code) == (call, -signal.SIGKILL), (calls[-1:], code)


def _traced(
    fork: Fork,
    function: Action,
    call: int,
    *,
    before: bool,
    look: Callable[[], object] | None = None,
) -> tuple[list[str], int]:
    names, threads = CHANGES.get(platform.machine()), THREADS.get(platform.machine())
    if names is None or threads is None:
        pytest.skip(f"the system calls of {platform.machine()} are not listed")
    pid = _start(fork, function)
    seen: list[str] = []
    counted = False
    while (status := _next_stop(pid)) is None:
        op, number, args = _syscall(pid)
        if op == ENTRY:
            assert number not in threads, "a thread or process that is not traced"
            name = names.get(number, "")
            counted = bool(name) and _changes(name, args)
            if counted:
                seen.append(name)
                if look is not None:
                    look()
        if counted and len(seen) == call and op == (ENTRY if before else EXIT):
            os.kill(pid, signal.SIGKILL)
    return seen, status


def _start(fork: Fork, function: Action) -> int:
    def traced() -> None:
        if libc.ptrace(TRACEME, 0, 0, 0):
            os._exit(77)
        os.kill(os.getpid(), signal.SIGSTOP)
        function()

    pid = fork(traced)
    _, status = os.waitpid(pid, 0)
    if os.WIFEXITED(status):
        pytest.skip("this machine lets no process trace its child")
    assert libc.ptrace(SETOPTIONS, pid, 0, GOOD | EXITKILL) == 0
    return pid


def _next_stop(pid: int) -> int | None:
    """Let the child go on to its next system call; its exit code where it has ended."""
    handed_on = 0
    while True:
        libc.ptrace(CONTINUE, pid, 0, handed_on)
        _, status = os.waitpid(pid, 0)
        if not os.WIFSTOPPED(status):
            return os.waitstatus_to_exitcode(status)
        if os.WSTOPSIG(status) == STOPPED:
            return None
        handed_on = os.WSTOPSIG(status)


def _syscall(pid: int) -> tuple[int, int, tuple[int, ...]]:
    """Whether the call is entered or left, its number and its arguments (on entry)."""
    buffer = ctypes.create_string_buffer(88)
    assert libc.ptrace(GET_SYSCALL_INFO, pid, 88, ctypes.addressof(buffer)) > 0
    op, number, *args = struct.unpack_from("B23x7Q", buffer)
    return op, number, tuple(args)


def _changes(name: str, args: tuple[int, ...]) -> bool:
    place = FLAGS.get(name)
    return place is None or bool(args[place] & (os.O_CREAT | os.O_TRUNC))
