"""Mirrors over ssh: a real ssh server on loopback that starts Git, and the system's own ssh that asks it."""

import asyncio
import contextlib
import os
import shlex
import shutil
import threading
from pathlib import Path

import pytest

from ckanext.mlops.core.errors import FetchFailed
from ckanext.mlops.core.mirror import Credential, Policy, update_mirror

asyncssh = pytest.importorskip("asyncssh", reason="an ssh server of its own")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("ssh") is None, reason="Git asks ssh servers with the system's ssh"),
]


async def _pump(reader, writer) -> None:
    """Until either side ends."""
    with contextlib.suppress(OSError, asyncssh.Error):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()


class Server:
    """Lets in who has the key, and runs ``git-upload-pack`` below ``root``, nothing else."""

    def __init__(self, root: Path, keys: Path) -> None:
        self.root = root
        self.allowed = self._key(keys / "reader")
        self._key(keys / "stranger")
        self.host_key = self._key(keys / "host")
        self.users: list[str] = []
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self._listener = asyncio.run_coroutine_threadsafe(self._listen(keys / "host"), self._loop).result(30)
        self.port = self._listener.get_port()

    @staticmethod
    def _key(path: Path) -> str:
        key = asyncssh.generate_private_key("ssh-ed25519")
        path.write_bytes(key.export_private_key("openssh"))
        path.chmod(0o600)
        return key.export_public_key("openssh").decode().strip()

    async def _listen(self, host_key: Path) -> asyncssh.SSHAcceptor:
        return await asyncssh.create_server(
            asyncssh.SSHServer,
            "127.0.0.1",
            0,
            server_host_keys=[str(host_key)],
            authorized_client_keys=asyncssh.import_authorized_keys(self.allowed),
            process_factory=self._serve,
            encoding=None,
        )

    async def _serve(self, process: asyncssh.SSHServerProcess) -> None:
        self.users.append(process.get_extra_info("username"))
        words = shlex.split(process.command or "")
        if len(words) != 2 or words[0] != "git-upload-pack":
            process.exit(1)
            return
        git = ["git", "-c", "safe.directory=*", "-c", "uploadpack.allowFilter=true", "upload-pack"]
        environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": os.devnull}
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), asyncio.subprocess.PIPE)
        folder = str(self.root / words[1].lstrip("/"))
        child = await asyncio.create_subprocess_exec(*git, folder, env=environment, **pipes)
        feed = asyncio.create_task(_pump(process.stdin, child.stdin))
        await asyncio.gather(_pump(child.stdout, process.stdout), _pump(child.stderr, process.stderr))
        feed.cancel()
        process.exit(await child.wait())

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._listener.close)
        self._loop.call_soon_threadsafe(self._loop.stop)


@pytest.fixture
def keys(tmp_path):
    (tmp_path / "keys").mkdir()
    return tmp_path / "keys"


@pytest.fixture
def server(root, keys):
    made = Server(root, keys)
    yield made
    made.stop()


@pytest.fixture
def policy():
    return Policy(schemes=("ssh",), allow_private_addresses=True, timeout=60)


def known(server: Server, keys: Path, line: str = "") -> Path:
    """What ``ssh-keyscan -p PORT localhost`` writes."""
    (keys / "known_hosts").write_text(line or f"[localhost]:{server.port} {server.host_key}\n")
    return keys / "known_hosts"


def test_a_private_repository_is_read_with_its_key(repository, server, keys, mirrors, policy, read):
    url = f"ssh://git@localhost:{server.port}/repo"
    credential = Credential(ssh_key=keys / "reader", known_hosts=known(server, keys))
    first = update_mirror(url, mirrors, policy=policy, credential=credential)
    assert (first.url, first.changed) == (url, True)
    assert not update_mirror(url, mirrors, policy=policy, credential=credential).changed
    commit = repository.commit("params.yaml", "lr: 1\n")
    second = update_mirror(url, mirrors, policy=policy, credential=credential)
    assert read(second.git_dir, "rev-parse", "main") == commit
    assert set(server.users) == {"git"}


def test_another_key_is_refused_in_words(repository, server, keys, mirrors, policy):
    credential = Credential(ssh_key=keys / "stranger", known_hosts=known(server, keys))
    with pytest.raises(FetchFailed, match="access was denied") as caught:
        update_mirror(f"ssh://git@localhost:{server.port}/repo", mirrors, policy=policy, credential=credential)
    assert str(keys) not in str(caught.value)


def test_a_server_that_is_not_known_is_not_trusted(repository, server, keys, mirrors, policy):
    other = (keys / "stranger").with_suffix(".pub")
    other.write_text(server.allowed)
    for line in ("example.org ssh-ed25519 AAAA\n", f"[localhost]:{server.port} {server.allowed}\n"):
        credential = Credential(ssh_key=keys / "reader", known_hosts=known(server, keys, line))
        with pytest.raises(FetchFailed, match="host key is not known"):
            update_mirror(f"ssh://git@localhost:{server.port}/repo", mirrors, policy=policy, credential=credential)
    assert server.users == []


def test_a_repository_that_is_not_there(server, keys, mirrors, policy):
    credential = Credential(ssh_key=keys / "reader", known_hosts=known(server, keys))
    with pytest.raises(FetchFailed, match="there is no repository at this address"):
        update_mirror(f"ssh://git@localhost:{server.port}/nothing", mirrors, policy=policy, credential=credential)
