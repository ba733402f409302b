"""Write open_inference_pb2.py and its types out of open_inference.proto.

    python -m serve.protos.write_modules

The usual generated module registers its messages in the process's one pool of descriptors, where the modules of other
clients and servers of the protocol have messages of the same names, and it refuses any runtime that is older than the
compiler. Ours holds the compiled file alone, puts it into a pool of its own, and runs with any runtime.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

PROTO = Path(__file__).with_name("open_inference.proto")
MODULE = PROTO.with_name("open_inference_pb2.py")
TYPES = PROTO.with_name("open_inference_pb2.pyi")

HEAD = '''"""Messages of the Open Inference Protocol, written by write_modules.py; do not edit."""

from google.protobuf import descriptor_pool, message_factory

SERIALIZED = (
{lines}
)

POOL = descriptor_pool.DescriptorPool()
DESCRIPTOR = POOL.AddSerializedFile(SERIALIZED)

{classes}
'''


def main() -> None:
    """Write both files."""
    module, types = compile_modules()
    MODULE.write_text(module)
    TYPES.write_text(types)


def compile_modules() -> tuple[str, str]:
    """The text of the module and of its types."""
    from google.protobuf import descriptor_pb2
    from grpc_tools import protoc  # here, because only those who change the protocol need it

    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "file_set"
        options = [f"--proto_path={PROTO.parent}", f"--descriptor_set_out={found}", f"--pyi_out={folder}", PROTO.name]
        if protoc.main(["protoc", *options]) != 0:
            raise SystemExit(f"{PROTO.name} must compile; correct what was said above")
        (file,) = descriptor_pb2.FileDescriptorSet.FromString(found.read_bytes()).file
        types = (Path(folder) / TYPES.name).read_text()
    return module_text(
        file.SerializeToString(deterministic=True), [message.name for message in file.message_type]
    ), types


def module_text(serialized: bytes, names: list[str]) -> str:
    """The module of one compiled file with these messages."""
    lines = [f"    {serialized[start : start + 48]!r}" for start in range(0, len(serialized), 48)]
    classes = [
        f'{name} = message_factory.GetMessageClass(DESCRIPTOR.message_types_by_name["{name}"])' for name in names
    ]
    return HEAD.format(lines="\n".join(lines), classes="\n".join(classes))


if __name__ == "__main__":
    main()
