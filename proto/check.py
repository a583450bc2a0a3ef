"""Hold the wire to buf's rules, with no network: ``buf lint``, and ``buf breaking`` since a release.

buf would fetch what ``later.proto`` imports from its registry. Here protoc compiles it into an image
instead, with the descriptors that the installed distributions carry, and buf judges the image by
the rules of ``buf.yaml``.

``python proto/check.py`` exits 1 when a rule is broken; it is part of ``tox -e protocheck``.
``--release`` writes ``proto/baseline.binpb``, the wire that later changes are measured against: do
so when a version is released, never to silence the check.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from generate import ROOT, protoc, write_rules
from google.protobuf.descriptor_pb2 import FileDescriptorSet

FILE = "later/v1/later.proto"
BASELINE = ROOT / "proto" / "baseline.binpb"
RULES = "buf/validate/validate.proto"

#: Imported by the rules alone.
ONLY_FOR_RULES = frozenset(
    {RULES, "google/protobuf/descriptor.proto", "google/protobuf/field_mask.proto"}
)


def write_image(folder: Path) -> Path:
    """Compile the wire and all that it imports, with the comments, into one file; answer it."""
    image = folder / "image.binpb"
    protoc(
        f"--descriptor_set_in={write_rules(folder)}",
        "-Iproto",
        "--include_imports",
        "--include_source_info",
        f"--descriptor_set_out={image}",
        FILE,
    )
    return image


def write_baseline(image: Path) -> None:
    """Keep what a wire is: names, numbers, types. Comments and protovalidate's rules are left out."""
    wire = FileDescriptorSet()
    for file in FileDescriptorSet.FromString(image.read_bytes()).file:
        if file.name not in ONLY_FOR_RULES:
            file.ClearField("source_code_info")
            kept = [name for name in file.dependency if name != RULES]
            del file.dependency[:]
            file.dependency.extend(kept)
            wire.file.append(file)
    BASELINE.write_bytes(wire.SerializeToString(deterministic=True))


def buf(command: str, image: Path, *arguments: str) -> bool:
    """Run one of buf's checks on our file of the image; whether it found nothing."""
    rules = ("--config", str(ROOT / "buf.yaml"), "--path", FILE)
    return subprocess.run(["buf", command, image, *rules, *arguments], check=False).returncode == 0


def main() -> int:
    """Check, or write the baseline; answer the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        image = write_image(Path(folder))
        if "--release" in sys.argv[1:]:
            write_baseline(image)
            return 0
        lint = buf("lint", image)
        breaking = buf("breaking", image, "--against", str(BASELINE))
        return 0 if lint and breaking else 1


if __name__ == "__main__":
    sys.exit(main())
