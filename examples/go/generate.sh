#!/bin/sh
# Makes rightcall/v1/*.pb.go of the protos. It needs protoc, protoc-gen-go and protoc-gen-go-grpc (README.md).
set -eu
cd "$(dirname "$0")"
protos=${PROTOS:-../../protos}
# shellcheck disable=SC2086 # PROTOC may be a command with arguments
${PROTOC:-protoc} --proto_path="$protos" --go_out=. --go_opt=paths=source_relative \
    --go-grpc_out=. --go-grpc_opt=paths=source_relative "$protos"/rightcall/v1/*.proto
