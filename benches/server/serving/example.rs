// What is taken from the example, as it stands there. Included into each contender.

#[path = "../../../examples/live_server/src/channel.rs"]
mod channel;
#[path = "../../../examples/live_server/src/connection.rs"]
mod connection;
#[path = "../../../examples/live_server/src/ingest/mod.rs"]
mod ingest;
#[path = "../../../examples/live_server/src/jpeg/mod.rs"]
mod jpeg;
#[path = "../../../examples/live_server/src/limits.rs"]
mod limits;
#[path = "../../../examples/live_server/src/memory.rs"]
mod memory;
#[path = "../../../examples/live_server/src/mp4/mod.rs"]
mod mp4;
#[path = "../../../examples/live_server/src/pace.rs"]
mod pace;
#[path = "../../../examples/live_server/src/piece.rs"]
mod piece;
#[path = "../../../examples/live_server/src/server.rs"]
mod server;
#[path = "../../../examples/live_server/src/serving.rs"]
mod serving;
#[path = "../../../examples/live_server/src/token.rs"]
mod token;
#[path = "../../../examples/live_server/src/viewer.rs"]
mod viewer;
#[path = "../../../examples/live_server/src/viewers.rs"]
mod viewers;
#[path = "../../../examples/live_server/src/watching.rs"]
mod watching;

// What is not: the life of the process, and what it tells of itself.
mod serve;
mod status;

pub use serve::serve;
