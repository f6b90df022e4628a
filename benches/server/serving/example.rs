// What is taken from the example, as it stands there. Included into each contender.

#[path = "../../../examples/live_server/channel.rs"]
mod channel;
#[path = "../../../examples/live_server/connection.rs"]
mod connection;
#[path = "../../../examples/live_server/ingest/mod.rs"]
mod ingest;
#[path = "../../../examples/live_server/jpeg/mod.rs"]
mod jpeg;
#[path = "../../../examples/live_server/limits.rs"]
mod limits;
#[path = "../../../examples/live_server/memory.rs"]
mod memory;
#[path = "../../../examples/live_server/mp4/mod.rs"]
mod mp4;
#[path = "../../../examples/live_server/pace.rs"]
mod pace;
#[path = "../../../examples/live_server/piece.rs"]
mod piece;
#[path = "../../../examples/live_server/server.rs"]
mod server;
#[path = "../../../examples/live_server/serving.rs"]
mod serving;
#[path = "../../../examples/live_server/token.rs"]
mod token;
#[path = "../../../examples/live_server/viewer.rs"]
mod viewer;
#[path = "../../../examples/live_server/viewers.rs"]
mod viewers;
#[path = "../../../examples/live_server/watching.rs"]
mod watching;

// What is not: the life of the process, and what it tells of itself.
mod serve;
mod status;

pub use serve::serve;
