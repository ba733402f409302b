"""Load over gRPC, in a process of its own: like ``http_load``, closed only."""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from dataclasses import asdict
from itertools import count
from typing import Any

import grpc
import grpc.aio

from serve.protos import open_inference_pb2 as messages
from serve_load.http_load import LoadSettings, Seen, load_images
from serve_load.wire import MARK_BYTES

MAX_CHANNELS = 8
INFER = "/inference.GRPCInferenceService/ModelInfer"


async def run(settings: LoadSettings) -> Seen:
    """All clients; ``path`` is the model's name."""
    seen, images = Seen(), list(load_images(settings.folders))
    chooser = random.Random(settings.seed)
    numbers = count(chooser.randrange(10**9) * 10**6)
    started_s, cpu_s = time.perf_counter(), time.process_time()
    counts_from_s = started_s + settings.warm_s
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_send_message_length", -1)]
    target = f"{settings.host}:{settings.port}"
    channels = [grpc.aio.insecure_channel(target, options) for _ in range(min(MAX_CHANNELS, settings.clients))]
    calls = [
        channel.unary_unary(
            INFER,
            request_serializer=messages.ModelInferRequest.SerializeToString,
            response_deserializer=messages.ModelInferResponse.FromString,
        )
        for channel in channels
    ]

    async def client(call: Any) -> None:
        while time.perf_counter() < counts_from_s + settings.seconds:
            request = build_request(chooser.choice(images), settings.path, next(numbers))
            asked_s = time.perf_counter()
            try:
                await call(request, timeout=60)
                status = "200"
            except grpc.aio.AioRpcError as exc:
                status = exc.code().name
            ended_s = time.perf_counter()
            if ended_s < counts_from_s:
                continue
            seen.statuses[status] = seen.statuses.get(status, 0) + 1
            (seen.latencies_ms if status == "200" else seen.refused_ms).append((ended_s - asked_s) * 1000)

    await asyncio.gather(*(client(calls[index % len(calls)]) for index in range(settings.clients)))
    for channel in channels:
        await channel.close()
    seen.seconds, seen.cpu_s = time.perf_counter() - counts_from_s, time.process_time() - cpu_s
    return seen


def build_request(image: bytes, model: str, number: int) -> Any:
    """One request, whose bytes no other has."""
    request = messages.ModelInferRequest(model_name=model)
    request.inputs.add(name="image", datatype="BYTES", shape=[1])
    size = (len(image) + MARK_BYTES).to_bytes(4, "little")
    request.raw_input_contents.append(b"".join([size, image, b"%0*d" % (MARK_BYTES, number)]))
    request.outputs.add(name="row")
    return request


if __name__ == "__main__":
    json.dump(asdict(asyncio.run(run(LoadSettings(**json.load(sys.stdin))))), sys.stdout)
