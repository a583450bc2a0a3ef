"""gRPC: messages, services, server."""
