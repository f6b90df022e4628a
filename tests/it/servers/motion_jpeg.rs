//! `examples/motion_jpeg.rs`

#[path = "../../../examples/motion_jpeg.rs"]
#[allow(dead_code, reason = "its `main` is for the example")]
mod example;

use super::{ask, listener, until, within};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Incoming};
use tokio::task::JoinSet;

/// The next part: only the picture, without its header and the boundary after it.
async fn picture(viewer: &mut Response<Incoming>) -> Vec<u8> {
    let frame = within(viewer.frame()).await.expect("it goes on");
    let part = frame.expect("no error").into_data().expect("bytes");
    let text = String::from_utf8_lossy(&part);
    let (head, _) = text.split_once("\r\n\r\n").expect("a head");
    let length = head.rsplit_once("Content-Length: ").expect("a length").1;
    let picture = &part[head.len() + 4..][..length.parse().expect("a number")];
    assert!(part.ends_with(b"\r\n--frame\r\n"));
    assert_eq!(head.len() + 4 + picture.len() + 11, part.len());
    picture.to_vec()
}

/// All viewers see the same pictures, and a viewer that reads nothing stops none of them.
#[tokio::test]
async fn every_viewer_sees_pictures_that_move() {
    let pool = example::pool().expect("small");
    let (listener, server) = listener().await;
    let mut tasks = JoinSet::new();
    tasks.spawn(example::serve(pool.clone(), listener));

    let request = || Request::get("/").body(Full::default()).expect("a request");
    let reads_nothing = ask(server, request()).await;
    let (mut one, mut other) = (ask(server, request()).await, ask(server, request()).await);
    for viewer in [&mut one, &mut other] {
        let kind = &viewer.headers()["content-type"];
        assert_eq!(kind, "multipart/x-mixed-replace; boundary=frame");
        let begin = within(viewer.frame()).await.expect("it begins");
        assert_eq!(
            begin.expect("no error").into_data().expect("bytes"),
            "\r\n--frame\r\n"
        );
    }
    let (first, second) = (picture(&mut one).await, picture(&mut one).await);
    assert!(first.starts_with(b"\xff\xd8\xff\xdb") && first.ends_with(b"\xff\xd9"));
    assert_ne!(first, second, "the square moves");
    let mut seen = Vec::new();
    while !seen.contains(&second) {
        assert!(seen.len() < 20, "it is sent what the other is");
        seen.push(picture(&mut other).await);
    }

    // Viewers that disconnected hold nothing: what is not free is the backlog, and at times the next picture.
    drop((one, other, reads_nothing));
    let free = pool.properties().buffers - example::BACKLOG;
    until("viewers hold nothing", || pool.free_count() == free).await;
}
