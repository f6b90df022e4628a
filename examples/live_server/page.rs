//! The page: its text, style and scripts, from memory.
//!
//! It needs nothing from anywhere else, and the browser is told to let it have nothing else.

use axum::{
    Router,
    extract::Path,
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};

/// Scripts and style from here alone; pictures and films also from the scripts' own memory.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src blob:; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";

struct File {
    name: &'static str,
    content_type: &'static str,
    text: &'static str,
}

macro_rules! file {
    ($name:literal, $content_type:expr) => {
        File {
            name: $name,
            content_type: $content_type,
            text: include_str!(concat!("page/", $name)),
        }
    };
}

const INDEX: File = file!("index.html", HTML);

const FILES: [File; 14] = [
    file!("icon.svg", "image/svg+xml"),
    file!("style.css", STYLE),
    file!("channels.css", STYLE),
    file!("main.js", SCRIPT),
    file!("polling.js", SCRIPT),
    file!("channels.js", SCRIPT),
    file!("card.js", SCRIPT),
    file!("picture.js", SCRIPT),
    file!("player.js", SCRIPT),
    file!("stream.js", SCRIPT),
    file!("film.js", SCRIPT),
    file!("mp4.js", SCRIPT),
    file!("pool.js", SCRIPT),
    file!("tables.js", SCRIPT),
];

pub(crate) fn router() -> Router {
    Router::new()
        .route("/", get(|| async { INDEX.into_response() }))
        .route("/page/{file}", get(file))
}

async fn file(Path(name): Path<String>) -> Response {
    let file = FILES.into_iter().find(|file| file.name == name);
    file.map_or_else(
        || StatusCode::NOT_FOUND.into_response(),
        File::into_response,
    )
}

impl IntoResponse for File {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, self.content_type),
            // Another version of the server has another page.
            (header::CACHE_CONTROL, "no-cache"),
            (header::CONTENT_SECURITY_POLICY, POLICY),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (HeaderName::from_static("referrer-policy"), "no-referrer"),
        ];
        (headers, self.text).into_response()
    }
}
