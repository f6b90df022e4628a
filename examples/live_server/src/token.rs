//! Who may feed a channel: a client that shows the token, if the server was given one.
//!
//! It is taken from the environment and not from the command line, which everybody on the machine can read.

use axum::http::{HeaderMap, header};
use std::{env, fmt, sync::Arc};
use subtle::ConstantTimeEq;

/// The variable that it is taken from.
pub(crate) const VARIABLE: &str = "INGEST_TOKEN";

/// Shorter ones can be guessed by trying.
const SHORTEST: usize = 16;

/// What a source must show. Never printed.
#[derive(Clone)]
pub(crate) struct Token(Arc<str>);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

impl Token {
    /// `None` if there is none, so that anybody may feed a channel.
    pub(crate) fn from_environment() -> Result<Option<Self>, String> {
        match env::var(VARIABLE) {
            Ok(token) => Token::new(&token).map(Some),
            Err(env::VarError::NotPresent) => Ok(None),
            Err(env::VarError::NotUnicode(_)) => Err(format!("{VARIABLE} is not text")),
        }
    }

    fn new(token: &str) -> Result<Self, String> {
        if token.len() < SHORTEST {
            return Err(format!(
                "{VARIABLE} must have at least {SHORTEST} characters"
            ));
        }
        if token.trim() != token || token.chars().any(char::is_control) {
            return Err(format!(
                "{VARIABLE} must not begin or end with a space, or have a line break: no header could show it"
            ));
        }
        Ok(Token(token.into()))
    }

    /// Whether a request shows it, as `Authorization: Bearer TOKEN`.
    ///
    /// How long this takes tells how long the token is, and nothing of what stands in it.
    pub(crate) fn is_shown_by(&self, headers: &HeaderMap) -> bool {
        let Some(given) = headers.get(header::AUTHORIZATION) else {
            return false;
        };
        let scheme = b"Bearer ";
        let Some((said, token)) = given.as_bytes().split_at_checked(scheme.len()) else {
            return false;
        };
        said.eq_ignore_ascii_case(scheme) && bool::from(token.ct_eq(self.0.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "sixteen letters!";

    fn shown(said: &'static [u8]) -> bool {
        let token = Token::new(TOKEN).unwrap();
        let mut headers = HeaderMap::new();
        let value = axum::http::HeaderValue::from_bytes(said).unwrap();
        headers.insert(header::AUTHORIZATION, value);
        token.is_shown_by(&headers)
    }

    #[test]
    fn only_the_token_itself_is_taken() {
        assert!(shown(b"Bearer sixteen letters!"));
        assert!(shown(b"bearer sixteen letters!"));
        for said in [
            &b""[..],
            b"Bearer",
            b"Bearer ",
            b"Bearer sixteen letters?",
            b"Bearer sixteen letters",
            b"Bearer sixteen letters!!",
            b"Basic  sixteen letters!",
            b"sixteen letters!",
            b"Bearer \xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
        ] {
            assert!(!shown(said), "{}", String::from_utf8_lossy(said));
        }
        let token = Token::new(TOKEN).unwrap();
        assert!(!token.is_shown_by(&HeaderMap::new()));
    }

    #[test]
    fn one_that_can_be_guessed_is_refused_and_none_is_printed() {
        assert!(Token::new("").is_err());
        assert!(Token::new("fifteen letters").is_err());
        assert!(Token::new("seventeen letters\n").is_err());
        assert!(Token::new(" seventeen letters").is_err());
        assert_eq!(format!("{:?}", Token::new(TOKEN).unwrap()), "Token");
    }
}
