"""One class a gRPC service, one short method an RPC."""
