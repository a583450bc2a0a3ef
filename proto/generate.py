"""Generate ``later_core/rpc/v1`` from ``later/v1/later.proto``.

``python proto/generate.py`` writes; ``--check`` writes nothing and exits 1 when what is checked in
is stale. Run it as ``tox -e proto``, which has the right versions of the generators.

``buf/validate/validate.proto`` is not kept here: its descriptor comes from the installed
protovalidate, and is written beside the code.
"""

from __future__ import annotations

import filecmp
import shutil
import subprocess
import sys
import tempfile
from importlib.resources import files
from pathlib import Path

from google.protobuf import (
    descriptor_pb2,
    duration_pb2,
    field_mask_pb2,
    timestamp_pb2,
)
from protovalidate._gen.buf.validate import validate_pb

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "proto" / "later" / "v1"
PACKAGE = Path("later_core") / "rpc" / "v1"
RULES = "validate.binpb"
GENERATED = ("later_pb2.py", "later_pb2.pyi", "later_pb2_grpc.py", "later_pb2_grpc.pyi", RULES)


def write_rules(target: Path) -> Path:
    """Write the descriptors of protovalidate's rules and what they import; answer the file."""
    rules = descriptor_pb2.FileDescriptorSet()
    for module in (descriptor_pb2, duration_pb2, field_mask_pb2, timestamp_pb2):
        module.DESCRIPTOR.CopyToProto(rules.file.add())
    rules.file.add().ParseFromString(validate_pb.desc().proto.to_binary())
    path = target / "rules.binpb"
    path.write_bytes(rules.SerializeToString())
    return path


def protoc(*arguments: str) -> None:
    """Run the compiler that grpcio-tools carries; its words go to the terminal."""
    well_known = files("grpc_tools") / "_proto"
    google_rpc = Path(str(files("google.rpc") / "status.proto")).parents[2]
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{well_known}", f"-I{google_rpc}"]
    subprocess.run([*command, *arguments], check=True, cwd=ROOT)


def generate(target: Path) -> None:
    """Generate everything into ``target/later_core/rpc/v1``."""
    rules = write_rules(target)
    protoc(
        f"--descriptor_set_in={rules}",
        # The virtual path makes the generated imports right without rewriting them.
        f"-I{PACKAGE.as_posix()}={SOURCE}",
        f"--python_out={target}",
        f"--mypy_out=readable_stubs:{target}",
        f"--grpc_python_out={target}",
        f"--mypy_grpc_out=readable_stubs:{target}",
        f"{PACKAGE.as_posix()}/later.proto",
    )
    (target / PACKAGE / RULES).write_bytes(validate_pb.desc().proto.to_binary())


def main() -> int:
    """Write, or check; answer the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        generate(Path(folder))
        fresh = Path(folder) / PACKAGE
        if "--check" in sys.argv[1:]:
            _, stale, missing = filecmp.cmpfiles(fresh, ROOT / PACKAGE, GENERATED, shallow=False)
            for name in [*stale, *missing]:
                print(f"{PACKAGE / name} is stale: run tox -e proto", file=sys.stderr)
            return 1 if stale or missing else 0
        for name in GENERATED:
            shutil.copyfile(fresh / name, ROOT / PACKAGE / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
