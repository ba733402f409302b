"""A camera on the loopback interface: a small RTSP server that sends H.264 and then breaks off or stalls.

Source: RFC 2326 (RTSP), RFC 3550 (RTP), RFC 6184 (H.264 in RTP, non-interleaved mode).
"""

from __future__ import annotations

import re
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from typing import Literal

import av

from tests.serve.drawn_videos import frame_pixels

Ending = Literal["break", "stall"]
CLOCK_HZ = 90_000
FRAMES_PER_S = 10
MAX_PAYLOAD_BYTES = 1200
PAYLOAD_TYPE, SOURCE_ID = 96, 0x1234
IMAGE_HW = (48, 64)


class RtspCamera:
    """Serves one client after the other, each from a first frame on.

    Args:
        endings: how each connection ends; when they are used up, clients are refused.
        num_frames: that each client gets.
        pause_s: before each of them.
        first_timestamp: of the first frame, in units of the clock.
    """

    def __init__(
        self, *endings: Ending, num_frames: int, pause_s: float = 0.0, first_timestamp: int = 4_000_000
    ) -> None:
        self._endings, self._num_frames, self._first_timestamp = list(endings), num_frames, first_timestamp
        self._pause_s = pause_s
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._serve)

    @property
    def url(self) -> str:
        """Where the stream is."""
        return f"rtsp://127.0.0.1:{self._listener.getsockname()[1]}/camera"

    def start(self) -> None:
        """Listen."""
        self._thread.start()

    def close(self) -> None:
        """Stop listening, and wait until the thread is gone."""
        self._closing.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while not self._closing.is_set() and self._endings:
            with suppress(OSError):
                client, _ = self._listener.accept()
                with client:
                    self._answer(client)
        self._listener.close()

    def _answer(self, client: socket.socket) -> None:
        """Speak RTSP up to PLAY, then send frames."""
        requests = client.makefile("rb")
        while (line := requests.readline().decode()).strip():
            headers = dict(read_headers(requests))
            method = line.split()[0]
            extra, body = self._reply_to(method)
            head = f"RTSP/1.0 200 OK\r\nCSeq: {headers['cseq']}\r\n{extra}Content-Length: {len(body)}\r\n\r\n"
            client.sendall(head.encode() + body)
            if method == "PLAY":
                self._play(client)
                return

    def _reply_to(self, method: str) -> tuple[str, bytes]:
        """Headers and body of an answer."""
        if method == "DESCRIBE":
            about = f"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP {PAYLOAD_TYPE}\r\n"
            about += f"a=rtpmap:{PAYLOAD_TYPE} H264/{CLOCK_HZ}\r\na=fmtp:{PAYLOAD_TYPE} packetization-mode=1\r\n"
            return "Content-Type: application/sdp\r\n", f"{about}a=control:track\r\n".encode()
        if method == "SETUP":
            return "Session: 1\r\nTransport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n", b""
        return ("Session: 1\r\n" if method == "PLAY" else "Public: DESCRIBE, SETUP, PLAY\r\n"), b""

    def _play(self, client: socket.socket) -> None:
        """Send the frames, and end as this connection ends."""
        ending = self._endings.pop(0)
        number = 0
        for index, units in enumerate(encoded_frames(self._num_frames)):
            self._closing.wait(self._pause_s)
            timestamp = self._first_timestamp + index * CLOCK_HZ // FRAMES_PER_S
            payloads = [payload for unit in units for payload in payloads_of(unit)]
            for payload in payloads:
                is_last = payload is payloads[-1]
                head = struct.pack("!BBHII", 0x80, PAYLOAD_TYPE | is_last << 7, number, timestamp, SOURCE_ID)
                client.sendall(struct.pack("!cBH", b"$", 0, len(head) + len(payload)) + head + payload)
                number += 1
        if ending == "stall":
            self._closing.wait()


def read_headers(requests: Iterator[bytes]) -> Iterator[tuple[str, str]]:
    """Names, in small letters, and values up to the empty line."""
    for line in requests:
        if not line.strip():
            return
        name, _, value = line.decode().partition(":")
        yield name.strip().lower(), value.strip()


def encoded_frames(count: int) -> Iterator[list[bytes]]:
    """The units of each frame, without their start codes; every fifth frame is a key frame."""
    encoder = av.CodecContext.create("libx264", "w")
    encoder.height, encoder.width = IMAGE_HW
    encoder.pix_fmt, encoder.framerate = "yuv420p", Fraction(FRAMES_PER_S)
    encoder.options = {"tune": "zerolatency", "preset": "ultrafast", "x264-params": "keyint=5:repeat-headers=1"}
    for index in range(count):
        frame = av.VideoFrame.from_ndarray(frame_pixels(index % 100, image_hw=IMAGE_HW), format="rgb24")
        data = b"".join(bytes(packet) for packet in encoder.encode(frame))
        yield [unit for unit in re.split(rb"\0\0\0?\x01", data) if unit]


def payloads_of(unit: bytes) -> Iterator[bytes]:
    """A unit as it is, or in fragments (FU-A)."""
    if len(unit) <= MAX_PAYLOAD_BYTES:
        yield unit
        return
    parts = [unit[at : at + MAX_PAYLOAD_BYTES] for at in range(1, len(unit), MAX_PAYLOAD_BYTES)]
    for index, part in enumerate(parts):
        edges = (index == 0) << 7 | (index == len(parts) - 1) << 6
        yield bytes([unit[0] & 0xE0 | 28, edges | unit[0] & 0x1F]) + part


@contextmanager
def rtsp_camera(*endings: Ending, num_frames: int, pause_s: float = 0.0) -> Iterator[RtspCamera]:
    """A camera that listens while the context lasts."""
    camera = RtspCamera(*endings, num_frames=num_frames, pause_s=pause_s)
    camera.start()
    try:
        yield camera
    finally:
        camera.close()
