"""Hold the wire to buf's rules, with no network: ``buf lint``, and ``buf breaking`` since a release.

buf would fetch what ``later.proto`` imports from its registry. Here protoc compiles it into an image
instead, with the descriptors that the installed distributions carry, and buf judges the image by
the rules of ``buf.yaml``. The templates for other languages are tried out too.

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


def is_sound(template: Path, image: Path, folder: Path) -> bool:
    """Whether buf takes a template for another language.

    Its plugins are in buf's registry; with no network protoc's Python takes the place of each, without
    options and in a folder of its own, and all the rest of the template is used as it stands.
    """
    lines: list[str] = []
    for line in template.read_text(encoding="utf-8").splitlines():
        if line.startswith("  - remote: "):
            lines.append("  - protoc_builtin: python")
            lines.append(f'    protoc_path: ["{sys.executable}", "-m", "grpc_tools.protoc"]')
        elif line.startswith("    out: "):
            lines.append(f"{line}/{len(lines)}")
        elif not line.startswith("    opt: "):
            lines.append(line)
    local = folder / template.name
    local.write_text("\n".join(lines), encoding="utf-8")
    output = folder / template.stem
    command = ["buf", "generate", image, "--template", local, "--path", FILE, "-o", output]
    made = subprocess.run([*command, "--timeout", "60s"], check=False).returncode == 0
    return made and any(path.is_file() for path in output.rglob("*"))


def main() -> int:
    """Check, or write the baseline; answer the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        image = write_image(Path(folder))
        if "--release" in sys.argv[1:]:
            write_baseline(image)
            return 0
        lint = buf("lint", image)
        breaking = buf("breaking", image, "--against", str(BASELINE))
        templates = sorted((ROOT / "proto").glob("buf.gen.*.yaml"))
        sound = [is_sound(template, image, Path(folder)) for template in templates]
        return 0 if lint and breaking and all(sound) else 1


if __name__ == "__main__":
    sys.exit(main())
