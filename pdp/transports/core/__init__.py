"""The core transport: HTTP/2, TLS and plain decisions in Rust (``core/``), all else by grpcio behind the core."""
