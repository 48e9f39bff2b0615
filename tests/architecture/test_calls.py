"""What calls between services must not do, in code and in protos."""

import ast
import re
import subprocess
import sys
import sysconfig
from functools import cache
from pathlib import Path

import pytest
from buf.validate import validate_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool

from tests.architecture.tree import ROOT, modules, plant

# Who signs in, or makes a tenant, has no token of that tenant yet.
BEFORE_A_TENANT_IS_KNOWN = {"muster.identity.v1.SignInRequest", "muster.identity.v1.CreateTenantRequest"}
BOUNDS = {"max_len", "max_bytes", "len", "len_bytes", "const", "in", "uuid", "pattern"}
STATUS_OWNERS = ("chassis/rpc/",)


def service_config_timeouts(root: Path) -> list[str]:
    """Deadlines in a service config, which grpcio cuts short: a deadline is set per call."""
    found = []
    for module in modules(root):
        for node in ast.walk(module.tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if "methodConfig" in node.value and re.search(r'"timeout"', node.value):
                    found.append(module.at(node))
            elif isinstance(node, ast.Dict) and "methodConfig" in _keys(node):
                found += [module.at(inner) for inner in ast.walk(node) if "timeout" in _keys(inner)]
    return [f"{place} sets methodConfig.timeout: pass `timeout=` with the call" for place in found]


def _keys(node: ast.AST) -> set[object]:
    return {key.value for key in node.keys if isinstance(key, ast.Constant)} if isinstance(node, ast.Dict) else set()


def status_codes(root: Path) -> list[str]:
    """gRPC status codes named outside chassis.rpc: errors are raised by kind, and mapped once."""
    return [
        f"{module.at(node)} names a status code: raise a DomainError with a kind"
        for module in modules(root)
        if not module.path.startswith(STATUS_OWNERS)
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute) and node.attr == "StatusCode"
    ]


def tenants_in_requests(protos: Path) -> list[str]:
    """Request messages that name a tenant, which comes from the verified assertion only."""
    return [
        f"{message.full_name}.{field.name}: the tenant comes from the assertion, not from the request"
        for message in _requests(protos)
        if message.full_name not in BEFORE_A_TENANT_IS_KNOWN
        for field in message.fields
        if field.name in ("tenant", "tenant_id", "tenant_code")
    ]


def unbounded_fields(protos: Path) -> list[str]:
    """Strings, bytes, lists and maps of requests (and of what stands in them) without a rule that bounds them."""
    seen: set[str] = set()
    queue = _requests(protos)
    found = []
    while queue:
        message = queue.pop()
        if message.full_name in seen or not message.full_name.startswith("muster."):
            continue
        seen.add(message.full_name)
        for field in message.fields:
            inner = field.message_type
            if inner is not None:
                queue.append(inner.fields_by_name["value"].message_type or inner if _is_map(field) else inner)
            rules = field.GetOptions().Extensions[validate_pb2.field]
            if not _bounded(field, rules):
                found.append(f"{message.full_name}.{field.name} has no bound: add a buf.validate rule")
    return sorted(found)


def _is_map(field: FieldDescriptor) -> bool:
    return bool(field.message_type is not None and field.message_type.GetOptions().map_entry)


def _bounded(field: FieldDescriptor, rules: validate_pb2.FieldRules) -> bool:
    if field.containing_type is not None and field.containing_type.GetOptions().map_entry:
        return True  # the map's own rule speaks for its entries
    if field.message_type is not None and _is_map(field):
        entry = field.message_type.fields_by_name
        return (
            rules.map.HasField("max_pairs")
            and _text_bounded(entry["key"], rules.map.keys)
            and _text_bounded(entry["value"], rules.map.values)
        )
    if field.is_repeated:
        return rules.repeated.HasField("max_items") and _text_bounded(field, rules.repeated.items)
    return _text_bounded(field, rules)


def _text_bounded(field: FieldDescriptor, rules: validate_pb2.FieldRules) -> bool:
    if field.type not in (FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES):
        return True
    kind = rules.WhichOneof("type")
    named = {option.name for option, _ in getattr(rules, kind).ListFields()} if kind else set()
    return bool(named & BOUNDS)


@cache
def _image(protos: Path) -> bytes:
    files = [path.relative_to(protos).as_posix() for path in protos.rglob("*.proto") if "gen" not in path.parts]
    site = sysconfig.get_path("purelib")
    done = subprocess.run(
        [sys.executable, "-m", "grpc_tools.protoc", f"-I{protos}", f"-I{ROOT / 'protos'}", f"-I{site}",
         "--include_imports", "--descriptor_set_out=/dev/stdout", *sorted(files)],
        capture_output=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def _requests(protos: Path) -> list[Descriptor]:
    """Input messages of every RPC of the protos in a folder."""
    pool = DescriptorPool()
    files = FileDescriptorSet.FromString(_image(protos)).file
    for file in files:
        pool.Add(file)
    return [
        method.input_type
        for file in files
        if file.package.startswith("muster.")
        for service in pool.FindFileByName(file.name).services_by_name.values()
        for method in service.methods
    ]


PLANTED_PROTO = """
syntax = "proto3";
package muster.planted.v1;
import "buf/validate/validate.proto";
service Planted { rpc Do(DoRequest) returns (DoRequest); }
message DoRequest {
  string tenant_id = 1 [(buf.validate.field).string.uuid = true];
  string note = 2;
  repeated string tags = 3 [(buf.validate.field).repeated.max_items = 5];
  repeated int32 days = 4 [(buf.validate.field).repeated.max_items = 5];
  Inner inner = 5;
}
message Inner {
  map<string, string> words = 2 [(buf.validate.field).map.max_pairs = 5];
  map<string, int32> counts = 3 [(buf.validate.field).map = {max_pairs: 5, keys: {string: {max_len: 9}}}];
  bytes file = 1 [(buf.validate.field).bytes.min_len = 1];
}
"""


def test_no_service_config_sets_a_timeout() -> None:
    assert service_config_timeouts(ROOT) == []


@pytest.mark.parametrize(
    "planted",
    ['C = {"methodConfig": [{"name": [{}], "timeout": "1s"}]}', 'C = \'{"methodConfig": [{"timeout": "1s"}]}\''],
)
def test_a_service_config_timeout_is_caught(tmp_path: Path, planted: str) -> None:
    plant(tmp_path, {"chassis/rpc/channels.py": planted + "\nOK = {'timeout': 3}\n"})

    assert len(service_config_timeouts(tmp_path)) == 1


def test_status_codes_are_named_in_one_place() -> None:
    assert status_codes(ROOT) == []


def test_a_status_code_elsewhere_is_caught(tmp_path: Path) -> None:
    plant(tmp_path, {"contexts/payroll/adapters/servicer.py": "import grpc\nX = grpc.StatusCode.NOT_FOUND\n"})

    assert len(status_codes(tmp_path)) == 1


def test_no_request_names_a_tenant() -> None:
    assert tenants_in_requests(ROOT / "protos") == []


def test_every_string_and_list_of_a_request_is_bounded() -> None:
    assert unbounded_fields(ROOT / "protos") == []


def test_a_request_with_a_tenant_and_without_bounds_is_caught(tmp_path: Path) -> None:
    plant(tmp_path, {"muster/planted/v1/planted.proto": PLANTED_PROTO})

    assert len(tenants_in_requests(tmp_path)) == 1
    assert [line.split(" ")[0] for line in unbounded_fields(tmp_path)] == [
        "muster.planted.v1.DoRequest.note",
        "muster.planted.v1.DoRequest.tags",
        "muster.planted.v1.Inner.file",
        "muster.planted.v1.Inner.words",
    ]
