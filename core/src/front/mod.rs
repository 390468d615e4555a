//! gRPC's HTTP/2: threads, connections and calls. The hot methods are answered here, all others behind.

pub mod authority;
pub mod backend;
pub mod beats;
pub mod body;
pub mod forward;
pub mod hot;
pub mod io;
pub mod methods;
pub mod reply;
pub mod server;
pub mod session;
pub mod settings;
pub mod side;
pub mod stream;
pub mod times;
pub mod tls;
