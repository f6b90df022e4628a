//! The page: its text, style and scripts, from memory.
//!
//! It needs nothing from anywhere else, and its policy makes the browser refuse all else.

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

const FILES: [File; 16] = [
    file!("icon.svg", "image/svg+xml"),
    file!("style.css", STYLE),
    file!("channels.css", STYLE),
    file!("pool.css", STYLE),
    file!("main.js", SCRIPT),
    file!("polling.js", SCRIPT),
    file!("channels.js", SCRIPT),
    file!("windows.js", SCRIPT),
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// What stands between `before` and the next quotation mark, each time.
    fn quoted(text: &str, before: &str) -> BTreeSet<String> {
        let rest = text.split(before).skip(1);
        let names = rest.filter_map(|rest| rest.split('"').next());
        names.map(str::to_owned).collect()
    }

    #[test]
    fn all_that_the_page_asks_for_is_there_and_nothing_else() {
        let mut asked = quoted(INDEX.text, "\"/page/");
        for file in FILES {
            asked.extend(quoted(file.text, "from \"./"));
        }
        let names: BTreeSet<String> = FILES.iter().map(|file| file.name.to_owned()).collect();
        assert_eq!(asked, names);
    }

    /// The policy would forbid it, and the browser says so only in its console.
    #[test]
    fn the_page_has_no_inline_script_or_style_and_asks_no_other_server() {
        assert!(!INDEX.text.contains("<style") && !INDEX.text.contains(" style="));
        assert_eq!(INDEX.text.matches("<script").count(), 1);
        for file in [INDEX].iter().chain(&FILES) {
            let elsewhere = file.text.matches("://").count();
            let namespace = usize::from(file.name == "icon.svg");
            assert_eq!(elsewhere, namespace, "{}", file.name);
        }
    }

    #[tokio::test]
    async fn each_file_says_what_it_is() {
        let headers = |response: &Response, name: header::HeaderName| {
            response.headers()[name].to_str().unwrap().to_owned()
        };
        for (name, content_type) in [("main.js", SCRIPT), ("style.css", STYLE)] {
            let response = file(Path(name.to_owned())).await;
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(headers(&response, header::CONTENT_TYPE), content_type);
            assert_eq!(headers(&response, header::CACHE_CONTROL), "no-cache");
            assert_eq!(headers(&response, header::CONTENT_SECURITY_POLICY), POLICY);
        }
        let missing = file(Path("main.rs".to_owned())).await;
        assert_eq!(missing.status(), StatusCode::NOT_FOUND);
    }
}
