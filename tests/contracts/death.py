# SPDX-License-Identifier: MIT
"""The conformance suite, part four: the peer is killed, whatever it is doing; nothing is lost or left."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import ipcfast
from ipcfast import Disconnected, IpcChannel
from tests.contracts.channels import Channels, needs
from tests.contracts.flow import fill
from tests.peers import HANG, Background, PeerProcess, open_descriptors, until_asleep

__all__ = ["Death"]

# How long a survivor may take to notice, on a machine that does much else. The bench reports what it takes.
NOTICE = 1.0

linux = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc and /dev/shm")


def shared_memory() -> set[str]:
    return set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()


def bodies_until_the_end(channel: IpcChannel) -> Iterator[bytes]:
    while True:
        try:
            yield channel.recv_bytes(HANG)
        except Disconnected:
            return


class Death(Channels):
    """SIGKILL of the other process."""

    def numbers_then_end(self, channel: IpcChannel, count: int) -> None:
        """Everything sent before is there, then the end, again and again."""
        for number in range(count):
            assert channel.recv_bytes(HANG) == number.to_bytes(8, "little")
        for _ in range(2):
            with pytest.raises(Disconnected) as caught:
                channel.recv_bytes(HANG)
            assert caught.value.peer_died is True
        assert channel.peer_died is True
        assert channel.poll()

    @pytest.mark.parametrize("role", ["idle", "blocked"])
    def test_killed_while_idle_or_blocked(self, role: str) -> None:
        with self.peer(role, 100) as (channel, process):
            assert process.line() == "ready"
            until_asleep(process.pid)
            process.kill()
            self.numbers_then_end(channel, 100)

    def test_killed_in_the_middle_of_a_message(self) -> None:
        with self.peer("mid_message", 100, 32 << 20) as (channel, process):
            assert process.line() == "ready"
            until_asleep(process.pid)
            process.kill()
            self.numbers_then_end(channel, 100)

    def test_killed_in_the_middle_of_a_message_that_is_being_received(self) -> None:
        with self.peer("mid_message", 0, 48 << 20) as (channel, process):
            assert process.line() == "ready"
            until_asleep(process.pid)
            process.stop()  # or it may keep up with us to the end
            with pytest.raises(ipcfast.ChannelTimeout):
                channel.recv_bytes(0)
            process.kill()
            self.numbers_then_end(channel, 0)

    def test_killed_while_it_sends_as_fast_as_it_can(self) -> None:
        seed = random.randrange(1 << 32)
        chance = random.Random(seed)
        for _ in range(12):
            with self.peer("flooding") as (channel, process):
                assert process.line() == "ready"
                killer = threading.Timer(chance.random() * 0.02, process.kill)
                killer.start()
                for number, body in enumerate(bodies_until_the_end(channel)):
                    assert body == number.to_bytes(8, "little") * (1 + number % 97), seed
                assert channel.peer_died is True
                killer.join()

    @pytest.mark.parametrize("call", ["recv_bytes", "send_bytes", "poll"])
    def test_a_blocked_call_notices_at_once(self, call: str) -> None:
        with self.peer("idle", 0) as (channel, process):
            assert process.line() == "ready"
            if call == "send_bytes":
                fill(channel)
            calls = {
                "recv_bytes": channel.recv_bytes,
                "send_bytes": lambda: channel.send_bytes(bytes(1 << 24)),
                "poll": lambda: channel.poll(None),
            }
            blocked = Background(
                lambda: (calls[call](), time.monotonic()) if call == "poll" else calls[call]()
            )
            until_asleep(os.getpid(), blocked.native_id)
            killed = time.monotonic()
            process.kill()
            if call == "poll":
                assert blocked.result()
            else:
                with pytest.raises(Disconnected) as caught:
                    blocked.result()
                assert caught.value.peer_died is True
            assert time.monotonic() - killed < NOTICE

    @needs("known peer")
    @linux
    def test_noticed_while_a_forked_child_of_the_peer_lives_on(self) -> None:
        with self.peer("with_child") as (channel, process):
            child = int(process.line())
            try:
                blocked = Background(channel.recv_bytes)
                until_asleep(os.getpid(), blocked.native_id)
                process.kill()
                with pytest.raises(Disconnected) as caught:
                    blocked.result()
                assert caught.value.peer_died is True
                os.kill(child, 0)  # it does live on
            finally:
                os.kill(child, signal.SIGKILL)

    @needs("known peer")
    @linux
    def test_a_send_that_does_not_wait_notices_that_there_will_be_no_room(self) -> None:
        with self.peer("with_child") as (channel, process):
            child = int(process.line())
            try:
                fill(channel)
                process.kill()
                for _ in range(2):
                    with pytest.raises(Disconnected) as caught:
                        channel.send_bytes(bytes(1000), timeout=0)
                    assert caught.value.peer_died is True
                os.kill(child, 0)  # it does live on
            finally:
                os.kill(child, signal.SIGKILL)

    @linux
    @pytest.mark.parametrize("role", ["idle", "blocked", "flooding", "mid_message"])
    def test_nothing_is_left(self, role: str, private_runtime_directory: Path) -> None:
        arguments = {"idle": [3], "blocked": [3], "flooding": [], "mid_message": [3, 32 << 20]}[role]

        def once() -> None:
            with self.peer(role, *arguments) as (channel, process):
                assert process.line() == "ready"
                process.kill()
                for _ in bodies_until_the_end(channel):
                    pass

        once()
        memory, descriptors = shared_memory(), open_descriptors()
        for _ in range(3):
            once()
        assert shared_memory() <= memory
        assert open_descriptors() == descriptors
        left = [path for path in private_runtime_directory.glob("*") if path.suffix != ".lock"]
        assert left == []
        assert all(path.stat().st_size == 0 for path in private_runtime_directory.glob("*"))

    @needs("addresses")
    def test_the_name_of_a_killed_server_binds_again_at_once(self, address: str) -> None:
        with PeerProcess("holder", address, 1) as process:
            assert process.line() == "listening"
            with ipcfast.connect(address, timeout=HANG) as channel:
                assert process.line() == "accepted"
                process.kill()
                with pytest.raises(Disconnected):
                    channel.recv_bytes(HANG)
                with ipcfast.listen(address) as listener:
                    client = Background(lambda: ipcfast.connect(address, timeout=HANG))
                    with listener.accept(HANG) as server, client.result() as other:
                        other.send_bytes(b"again")
                        assert server.recv_bytes(HANG) == b"again"
