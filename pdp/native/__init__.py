"""The native transport: HTTP/2 in Rust outside the GIL, for those calls that come by the thousand."""
