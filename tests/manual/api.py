"""docs/api.md: the services, messages and enums of protos/, with their comments."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import grpc
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, ServiceDescriptorProto

PROTOS: Final = Path(__file__).parents[2] / "protos"
_MESSAGE, _ENUM, _SERVICE = 4, 5, 6
"""Numbers of the fields of FileDescriptorProto, as paths of the source information name them."""
_MEMBER = 2
"""The number of a message's fields, of an enum's values and of a service's methods alike."""
_COMPOUND: Final = re.compile(r"[A-Z][a-z]+(?:[A-Z][a-z]+)+")
_CONSTANT: Final = re.compile("|".join((r"[A-Z]+(?:_[A-Z]+)+", *(code.name for code in grpc.StatusCode))))
_TOKEN: Final = re.compile(rf"\b(?:{_CONSTANT.pattern}|{_COMPOUND.pattern})\b|[*|<\[\]\\]")

_HEAD: Final = """\
# API reference

The gRPC API of a server, package `rightcall.v1`. This page is made from the comments in
{files}; edit those, then run `make docs`.

A server offers reflection, so that tools need no copy of the files:
`grpcurl -plaintext localhost:50051 describe rightcall.v1.DecisionService`. It also offers the standard
`grpc.health.v1.Health`, whose answer is SERVING once there are rules. Where clients are told apart, a call sends its
token as metadata, `authorization: Bearer TOKEN`, or has a client certificate; see [security](security.md). From Python,
`rightcall.Client` wraps the questions, and `rightcall.v1` holds messages and stubs.

How long a field will be here, and what may be added: [compatibility](compatibility.md). Clients: [Python](python.md),
[Go](go.md), [TypeScript](typescript.md); without gRPC, [AuthZEN](authzen.md).
"""


def page() -> str:
    """The whole page."""
    files = descriptors()
    names = {message.name for file in files for message in file.message_type}
    names |= {enum.name for file in files for enum in file.enum_type}
    names |= {method.name for file in files for service in file.service for method in service.method}
    links = [f"[{file.name}](../protos/{file.name})" for file in files]
    examples = Path(__file__).with_name("api_examples.md").read_text(encoding="utf-8")
    parts = [_HEAD.format(files=" and ".join(links)), examples]
    for file in files:
        written = _File(file, names)
        parts += [part for service in range(len(file.service)) for part in written.service(service)]
    for file in files:
        written = _File(file, names)
        parts.append(f"## Messages of {Path(file.name).name}\n")
        parts += written.types()
    return "\n".join(parts).rstrip() + "\n"


def descriptors() -> list[FileDescriptorProto]:
    """What the protobuf compiler makes of protos/, comments included."""
    sources = sorted(PROTOS.rglob("*.proto"))
    with tempfile.TemporaryDirectory() as directory:
        made = Path(directory, "descriptors")
        options = [f"--proto_path={PROTOS}", "--include_source_info", f"--descriptor_set_out={made}"]
        subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *options, *map(str, sources)], check=True)
        return list(FileDescriptorSet.FromString(made.read_bytes()).file)


class _File:
    """Writes what one file declares."""

    def __init__(self, file: FileDescriptorProto, names: set[str]) -> None:
        self._file = file
        self._names = names
        self._comments = {tuple(place.path): place.leading_comments for place in file.source_code_info.location}

    def service(self, index: int) -> Iterator[str]:
        """A service: what it is for, then each method."""
        service: ServiceDescriptorProto = self._file.service[index]
        yield f"## {service.name}\n"
        yield from self._paragraphs(_SERVICE, index)
        for number, method in enumerate(service.method):
            yield f"### {method.name}\n"
            asked = ("a stream of " if method.client_streaming else "") + self._link(method.input_type)
            answered = ("a stream of " if method.server_streaming else "") + self._link(method.output_type)
            yield f"Takes {asked}, returns {answered}.\n"
            yield from self._paragraphs(_SERVICE, index, _MEMBER, number)

    def types(self) -> Iterator[str]:
        """Messages and enums, in the order of the file."""
        places = [(_MESSAGE, index) for index in range(len(self._file.message_type))]
        places += [(_ENUM, index) for index in range(len(self._file.enum_type))]
        lines = {tuple(place.path): place.span[0] for place in self._file.source_code_info.location}
        for kind, index in sorted(places, key=lines.__getitem__):
            if kind == _MESSAGE:
                yield from self._message(index)
            else:
                yield from self._enum(index)

    def _message(self, index: int) -> Iterator[str]:
        message: DescriptorProto = self._file.message_type[index]
        yield f"### {message.name}\n"
        yield from self._paragraphs(_MESSAGE, index)
        rows = ["| field | type | number | |", "|---|---|---|---|"]
        for number, field in enumerate(message.field):
            meaning = self._comment(_MESSAGE, index, _MEMBER, number)
            if field.HasField("oneof_index"):
                choice = f"One of `{message.oneof_decl[field.oneof_index].name}`: only one of them is set."
                meaning = f"{choice} {meaning}".rstrip()
            rows.append(f"| `{field.name}` | {self._type(field)} | {field.number} | {meaning} |")
        yield "\n".join(rows) + "\n"

    def _enum(self, index: int) -> Iterator[str]:
        enum: EnumDescriptorProto = self._file.enum_type[index]
        yield f"### {enum.name}\n"
        yield from self._paragraphs(_ENUM, index)
        rows = ["| value | number | |", "|---|---|---|"]
        for number, value in enumerate(enum.value):
            rows.append(f"| `{value.name}` | {value.number} | {self._comment(_ENUM, index, _MEMBER, number)} |")
        yield "\n".join(rows) + "\n"

    def _type(self, field: FieldDescriptorProto) -> str:
        if field.type_name:
            name = self._link(field.type_name)
        else:
            name = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
        return f"list of {name}" if field.label == FieldDescriptorProto.LABEL_REPEATED else name

    def _link(self, type_name: str) -> str:
        name = type_name.rpartition(".")[2]
        return f"[{name}](#{name.lower()})" if name in self._names else f"`{type_name.lstrip('.')}`"

    def _comment(self, *path: int) -> str:
        """A comment as one line."""
        return self._marked_up(" ".join(self._comments[path].split()))

    def _paragraphs(self, *path: int) -> Iterator[str]:
        """A comment, paragraph by paragraph."""
        for paragraph in self._comments[path].split("\n\n"):
            if paragraph.strip():
                yield self._marked_up(" ".join(paragraph.split())) + "\n"

    def _marked_up(self, text: str) -> str:
        """Plain text as Markdown, with constants as code and with links to what has a heading."""

        def mark(match: re.Match[str]) -> str:
            word = match[0]
            if _CONSTANT.fullmatch(word):
                return f"`{word}`"
            if _COMPOUND.fullmatch(word):
                return self._link(word) if word in self._names else word
            return f"\\{word}"

        return _TOKEN.sub(mark, text)
