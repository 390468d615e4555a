"""The core transport: HTTP/2, TLS and plain decisions in Rust (``core/``), everything else by grpcio behind it."""
