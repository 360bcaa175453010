# SPDX-License-Identifier: MIT
"""What a channel has counted: live, and as a snapshot that does not change (R104-R115)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["IpcChannelMetrics", "IpcChannelMetricsSnapshot"]


@dataclass(frozen=True)
class IpcChannelMetricsSnapshot:
    """What a channel had counted when this was taken (R114). It does not change any more.

    The numbers are read one after another while other threads go on: each was true in the course of the
    reading, but not all in the same moment.

    Attributes:
        channel_name: The channel's name (R104).
        channel_type: "thread", "local_socket", "shared_memory", "tcp" or "stdio"; "other" for a class of your
            own that does not say (R105).
        messages_sent: Messages handed over whole, each of ``send_many`` too. One that a send which timed out
            has begun counts when it is finished (R106).
        messages_received: Messages taken off the channel. One that was skipped, because it is larger than the
            limit, does not count, nor does noise that the framing tells from a message; one that was taken
            but could not be decoded does (R107).
        bytes_sent: Bytes of the messages sent, without what the wire adds. Between threads those of
            ``send_bytes`` and ``send_many``: an object that is handed over has none (R108).
        bytes_received: Bytes of the messages received, likewise (R109).
        errors: Sends and receives that failed in the transport, skipped messages included, and the peer's
            death. Timeouts, what ``close`` and ``shutdown`` on this side end, and receiving after a peer that
            left in order are no errors; nor is what the codec refuses, which never reaches the transport
            (R110).
        avg_latency_us: Microseconds that messages took from the beginning of their send until they were taken
            off this channel, in the mean over ``latency_samples``; None where there are none (R111).
        peak_queue_length: Messages that had come and were not received yet: the most that this side knew of
            at once. What one look at the ring, or one read from the socket, found counts as it is received;
            what waits in the kernel or was never looked at does not. Between threads all are known of
            (R112).
        uptime_secs: Seconds since the channel object was made, also after it was closed (R113).
        waits: Sends that found no room and receives that found nothing, and had time to wait.
        wake_ups: Sleeps that ended, for whatever reason: a wait that was over while spinning has none, a long
            one has several.
        latency_samples: Received messages that told when their send began: about one of 64, the first one
            included. None do over TCP, where the other side may have another clock; over standard input and
            output; with framings other than "length"; and from a peer whose ipcfast is older.
        p50_latency_us: What half of the samples did not exceed. As the next two it is read from a histogram,
            and wrong by 1/32 at most; None without samples.
        p90_latency_us: What nine of ten did not exceed.
        p99_latency_us: What 99 of 100 did not exceed.
    """

    channel_name: str
    channel_type: str
    messages_sent: int
    messages_received: int
    bytes_sent: int
    bytes_received: int
    errors: int
    avg_latency_us: float | None
    peak_queue_length: int
    uptime_secs: float
    waits: int
    wake_ups: int
    latency_samples: int
    p50_latency_us: float | None
    p90_latency_us: float | None
    p99_latency_us: float | None


class IpcChannelMetrics:
    """What a channel has counted up to now: every property reads anew. From ``channel.metrics``.

    Counting is always on and costs a few instructions a message; reading takes no lock and stops nobody, from
    any thread, also while the channel is used, and after it was closed (R115). The properties are those of
    IpcChannelMetricsSnapshot, which describes them; a snapshot is also the way to several at once.
    """

    def __init__(
        self, name: str, kind: str, created_at: float, read: Callable[[], Mapping[str, int]]
    ) -> None:
        self._name = name
        self._kind = kind
        self._created_at = created_at
        self._read = read

    def snapshot(self) -> IpcChannelMetricsSnapshot:
        """Return what has been counted up to now (R114)."""
        # A transport that is not connected yet has counted nothing.
        count = self._read().get
        samples = count("timed", 0)

        def microseconds(nanoseconds: float) -> float | None:
            return nanoseconds / 1000 if samples else None

        return IpcChannelMetricsSnapshot(
            channel_name=self._name,
            channel_type=self._kind,
            messages_sent=count("messages_sent", 0),
            messages_received=count("messages_received", 0),
            bytes_sent=count("bytes_sent", 0),
            bytes_received=count("bytes_received", 0),
            errors=count("errors", 0),
            avg_latency_us=microseconds(count("latency_sum_ns", 0) / max(samples, 1)),
            peak_queue_length=count("peak_queue", 0),
            uptime_secs=time.monotonic() - self._created_at,
            waits=count("waits", 0),
            wake_ups=count("wake_ups", 0),
            latency_samples=samples,
            p50_latency_us=microseconds(count("latency_p50_ns", 0)),
            p90_latency_us=microseconds(count("latency_p90_ns", 0)),
            p99_latency_us=microseconds(count("latency_p99_ns", 0)),
        )

    @property
    def channel_name(self) -> str:
        """The channel's name (R104)."""
        return self._name

    @property
    def channel_type(self) -> str:
        """What kind of channel it is (R105)."""
        return self._kind

    @property
    def messages_sent(self) -> int:
        """Messages handed over whole (R106)."""
        return self.snapshot().messages_sent

    @property
    def messages_received(self) -> int:
        """Messages taken off the channel (R107)."""
        return self.snapshot().messages_received

    @property
    def bytes_sent(self) -> int:
        """Bytes of the messages sent (R108)."""
        return self.snapshot().bytes_sent

    @property
    def bytes_received(self) -> int:
        """Bytes of the messages received (R109)."""
        return self.snapshot().bytes_received

    @property
    def errors(self) -> int:
        """Sends and receives that failed, and messages that were skipped (R110)."""
        return self.snapshot().errors

    @property
    def avg_latency_us(self) -> float | None:
        """Microseconds from a send to its receive, in the mean; None where that is not known (R111)."""
        return self.snapshot().avg_latency_us

    @property
    def latency_samples(self) -> int:
        """Received messages whose latency is known."""
        return self.snapshot().latency_samples

    @property
    def p50_latency_us(self) -> float | None:
        """Microseconds that half of the messages did not exceed."""
        return self.snapshot().p50_latency_us

    @property
    def p90_latency_us(self) -> float | None:
        """Microseconds that nine of ten messages did not exceed."""
        return self.snapshot().p90_latency_us

    @property
    def p99_latency_us(self) -> float | None:
        """Microseconds that 99 of 100 messages did not exceed."""
        return self.snapshot().p99_latency_us

    @property
    def peak_queue_length(self) -> int:
        """The most messages that were known to be waiting for a receive at once (R112)."""
        return self.snapshot().peak_queue_length

    @property
    def uptime_secs(self) -> float:
        """Seconds since the channel was made (R113)."""
        return self.snapshot().uptime_secs

    @property
    def waits(self) -> int:
        """Sends and receives that had to wait."""
        return self.snapshot().waits

    @property
    def wake_ups(self) -> int:
        """Sleeps that ended."""
        return self.snapshot().wake_ups

    def __repr__(self) -> str:
        """Return the snapshot's values."""
        return f"<{type(self).__name__} {self.snapshot()}>"
