//! Rules for all errors of the crate: the message is a clause; each reason appears once when the chain of
//! sources is printed; the conversion to `io::Error` has a meaningful kind; and every enum is `non_exhaustive`.
//!
//! The tests read the source of the crate for the types that it declares, so an error that is added is checked
//! too.

#![deny(unsafe_code)]
// A `_` arm after all variants is reachable only if the enum is `non_exhaustive`.
#![deny(unreachable_patterns)]

use sample_pool::{
    BufferOverflow, BuildError, CommitError, GetBufferError, Pool, Properties, ReferenceTime,
    ReferenceTimeError, SetPropertiesError, State,
    fan_out::{AppendError, FanOut},
};
use std::{collections::BTreeSet, error::Error, fs, io, iter, path::Path};

const GET_BUFFER_ERRORS: [GetBufferError; 6] = [
    GetBufferError::NotCommitted,
    GetBufferError::Flushing,
    GetBufferError::Exhausted,
    GetBufferError::TimedOut,
    GetBufferError::TooManyWaiters,
    GetBufferError::TooMany,
];

const SET_PROPERTIES_ERRORS: [SetPropertiesError; 4] = [
    SetPropertiesError::BadAlign,
    SetPropertiesError::AlreadyCommitted,
    SetPropertiesError::BuffersOutstanding,
    SetPropertiesError::TooLarge,
];

const COMMIT_ERRORS: [CommitError; 2] = [CommitError::SizeNotSet, CommitError::OutOfMemory];

type Shown = (&'static str, Box<dyn Error>);

/// One error of each variant, with the name of its type.
fn every_error() -> Vec<Shown> {
    fn all<E: Error + 'static>(
        name: &'static str,
        errors: impl IntoIterator<Item = E>,
    ) -> Vec<Shown> {
        let errors = errors.into_iter();
        errors.map(|error| (name, error.into())).collect()
    }
    let pool = Pool::builder().buffers(1).build().expect("small");
    let closed = FanOut::new(1, 1);
    closed.close();
    let sample = pool.try_get_buffer().expect("one is free").freeze();
    let mut errors = [
        all("GetBufferError", GET_BUFFER_ERRORS),
        all("SetPropertiesError", SET_PROPERTIES_ERRORS),
        all("CommitError", COMMIT_ERRORS),
        all("BuildError", SET_PROPERTIES_ERRORS.map(BuildError::from)),
        all("BuildError", COMMIT_ERRORS.map(BuildError::from)),
        all("SendError", closed.send(sample).err()),
        all("AppendError", [AppendError::Closed, AppendError::Aborted]),
        all(
            "ReferenceTimeError",
            [ReferenceTimeError::Negative, ReferenceTimeError::Overflow],
        ),
        all(
            "BufferOverflow",
            [BufferOverflow {
                requested: 2,
                capacity: 1,
            }],
        ),
    ]
    .into_iter()
    .flatten()
    .collect::<Vec<_>>();
    errors.extend(of_streams());
    errors
}

#[cfg(not(feature = "stream"))]
fn of_streams() -> Vec<Shown> {
    Vec::new()
}

#[cfg(feature = "stream")]
fn of_streams() -> Vec<Shown> {
    use sample_pool::stream::{DecodeFrame, FrameError, LengthError, Lines, ReadError};
    let io_error = || io::Error::from(io::ErrorKind::ConnectionReset);
    let refused = GetBufferError::Flushing;
    let frame_errors = [
        FrameError::<ReferenceTimeError>::from(io_error()),
        FrameError::from(refused),
        FrameError::TooLarge {
            frame: 2,
            buffer: 1,
        },
        FrameError::TooManyBuffers { frame: 1 },
        FrameError::UnexpectedEof { bytes: 1 },
        FrameError::Decode(ReferenceTimeError::Overflow),
    ];
    let read_errors = [ReadError::from(io_error()), ReadError::from(refused)];
    let read = read_errors.map(|error| ("ReadError", error.into()));
    let frames = frame_errors.map(|error| ("FrameError", error.into()));
    let too_long = Lines::new().max_length(1).decode(b"ab").unwrap_err();
    let length_errors = [
        LengthError::TooLong {
            length: 2,
            limit: 1,
        },
        LengthError::TooSmall { length: 1 },
    ];
    let lengths = length_errors.map(|error| ("LengthError", error.into()));
    let all = read.into_iter().chain(frames).chain(lengths);
    all.chain([("LineTooLong", too_long.into())]).collect()
}

/// What an error reporter prints: the error, and each of its sources.
fn chain(error: &dyn Error) -> Vec<String> {
    iter::successors(Some(error), |&error| error.source())
        .map(ToString::to_string)
        .collect()
}

/// A reporter that prints the chain repeats a reason if a message contains the message of its source.
#[test]
fn each_reason_is_printed_once_when_the_chain_of_sources_is_printed() {
    for (name, error) in every_error() {
        let chain = chain(&*error);
        for (at, message) in chain.iter().enumerate() {
            let mut causes = chain[at + 1..].iter();
            assert!(
                !causes.any(|cause| message.contains(cause)),
                "{name}: {chain:?}"
            );
        }
    }
}

/// Reporters print a message after a colon, so it must read as a clause. Two equal messages would send the
/// reader to the wrong cause.
#[test]
fn every_message_is_a_lower_case_clause_and_no_two_chains_are_alike() {
    let mut seen = BTreeSet::new();
    for (name, error) in every_error() {
        let message = error.to_string();
        assert!(
            !message.is_empty() && !message.starts_with(char::is_uppercase),
            "{name}: {message}"
        );
        assert!(
            !message.ends_with(['.', '\n', ' ', ':']),
            "{name}: {message}"
        );
        // `FrameError` displays a `ReadError` unchanged.
        let kind = name.replace("FrameError", "ReadError");
        let is_new = seen.insert(chain(&*error));
        assert!(is_new || kind == "ReadError", "said twice: {message}");
    }
}

/// A caller that wraps the error, or matches on the cause, follows the sources to it.
#[test]
fn an_error_with_a_cause_has_it_as_its_source() {
    for cause in SET_PROPERTIES_ERRORS {
        let error = BuildError::from(cause);
        let source = error.source().and_then(|source| source.downcast_ref());
        assert_eq!(source, Some(&cause));
    }
    let error = BuildError::from(CommitError::OutOfMemory);
    let source = error.source().and_then(|source| source.downcast_ref());
    assert!(matches!(source, Some(CommitError::OutOfMemory)));
    assert_eq!(
        chain(&error),
        [
            "the pool could not be committed",
            "the system refused the memory"
        ]
    );
}

fn kind_of(error: GetBufferError) -> io::ErrorKind {
    match error {
        GetBufferError::NotCommitted | GetBufferError::Flushing => io::ErrorKind::BrokenPipe,
        GetBufferError::TimedOut => io::ErrorKind::TimedOut,
        GetBufferError::Exhausted | GetBufferError::TooManyWaiters => io::ErrorKind::ResourceBusy,
        GetBufferError::TooMany => io::ErrorKind::InvalidInput,
        other => unreachable!("{other:?} has no kind yet"),
    }
}

/// Code that handles an `io::Error` has only the kind, and `Other` carries no information.
#[test]
fn a_refused_get_becomes_an_io_error_of_its_kind_and_stays_inside_it() {
    for error in GET_BUFFER_ERRORS {
        let io_error = io::Error::from(error);
        assert_eq!(io_error.kind(), kind_of(error));
        assert_eq!(chain(&io_error), [error.to_string()]);
        assert_eq!(io_error.downcast::<GetBufferError>().ok(), Some(error));
    }
}

#[cfg(feature = "stream")]
#[test]
fn a_read_error_becomes_an_io_error_of_the_kind_that_its_cause_has() {
    use sample_pool::stream::ReadError;
    for refused in GET_BUFFER_ERRORS {
        let io_error = io::Error::from(ReadError::from(refused));
        assert_eq!(io_error.kind(), kind_of(refused));
        assert_eq!(
            chain(&io_error),
            ["no buffer to read into", &refused.to_string()]
        );
        let read_error = io_error.downcast::<ReadError>().expect("it is inside");
        assert!(matches!(read_error, ReadError::GetBuffer(inside) if inside == refused));
    }
    let reset = io::Error::from(ReadError::from(io::Error::from(
        io::ErrorKind::ConnectionReset,
    )));
    assert_eq!(reset.kind(), io::ErrorKind::ConnectionReset);
}

#[test]
fn a_refused_send_becomes_a_broken_pipe() {
    let pool = Pool::builder().buffers(1).build().expect("small");
    let closed = FanOut::new(1, 1);
    closed.close();
    let sample = pool.try_get_buffer().expect("one is free").freeze();
    let refused = closed.send(sample).expect_err("it is closed");
    let error = io::Error::from(refused);
    assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    assert_eq!(error.downcast().ok(), Some(refused));
    for refused in [AppendError::Closed, AppendError::Aborted] {
        let error = io::Error::from(refused);
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(error.downcast().ok(), Some(refused));
    }
}

/// A new variant must not break a user's `match`. That this compiles proves it.
#[test]
fn every_enum_may_get_another_variant() {
    for error in GET_BUFFER_ERRORS {
        match error {
            GetBufferError::NotCommitted
            | GetBufferError::Flushing
            | GetBufferError::Exhausted
            | GetBufferError::TimedOut
            | GetBufferError::TooManyWaiters
            | GetBufferError::TooMany => {}
            _ => unreachable!(),
        }
    }
    match SetPropertiesError::BadAlign {
        SetPropertiesError::BadAlign
        | SetPropertiesError::AlreadyCommitted
        | SetPropertiesError::BuffersOutstanding
        | SetPropertiesError::TooLarge => {}
        _ => unreachable!(),
    }
    match BuildError::from(CommitError::OutOfMemory) {
        BuildError::Commit(CommitError::OutOfMemory | CommitError::SizeNotSet) => {}
        BuildError::SetProperties(_) | BuildError::Commit(_) => unreachable!(),
        _ => unreachable!(),
    }
    match Pool::new().state() {
        State::Unconfigured => {}
        State::Configured | State::Committed | State::Draining => unreachable!(),
        _ => unreachable!(),
    }
    match ReferenceTimeError::Negative {
        ReferenceTimeError::Negative | ReferenceTimeError::Overflow => {}
        _ => unreachable!(),
    }
}

/// The lines of all files of the library, each file with its name.
fn sources() -> Vec<(String, Vec<String>)> {
    let mut sources = Vec::new();
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("it is a folder") {
            let path = entry.expect("it can be read").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("it is text");
                let name = path.display().to_string();
                sources.push((name, text.lines().map(str::to_owned).collect()));
            }
        }
    }
    sources
}

/// All public types declared with one keyword: the name, the attributes, and the lines from the declaration on.
fn declared(keyword: &str) -> Vec<(String, String, Vec<String>)> {
    let start = format!("pub {keyword} ");
    let mut found = Vec::new();
    for (_file, lines) in sources() {
        for (at, line) in lines.iter().enumerate() {
            let Some(rest) = line.strip_prefix(&start) else {
                continue;
            };
            let name = rest.split(|c: char| !c.is_alphanumeric()).next();
            let above = lines[..at].iter().rev();
            let attributes = above.take_while(|line| !line.is_empty() && !line.starts_with('}'));
            let attributes = attributes.filter(|line| !line.starts_with("//"));
            found.push((
                name.expect("a name").to_owned(),
                attributes.cloned().collect::<String>(),
                lines[at..].to_vec(),
            ));
        }
    }
    found
}

#[test]
fn every_public_enum_is_non_exhaustive() {
    let enums = declared("enum");
    assert!(enums.len() >= 8, "{} enums are too few", enums.len());
    for (name, attributes, _body) in enums {
        assert!(attributes.contains("#[non_exhaustive]"), "{name}");
    }
}

/// A struct whose fields are all public can be built and destructured by users, so it can never get another
/// field. Those for which this is intended are listed here, with the reason.
#[test]
fn a_struct_that_users_can_make_is_one_on_purpose() {
    let mut open = BTreeSet::new();
    for (name, attributes, body) in declared("struct") {
        let is_tuple = body[0].contains("(pub ") && !body[0].contains(", ");
        let ends = |line: &&String| line.starts_with(['}', ')']);
        let mut fields = body[1..].iter().take_while(|line| !ends(line));
        let mut fields = fields.by_ref().map(|line| line.trim_start());
        let is_plain = body[0].ends_with(['{', '('])
            && fields
                .all(|line| line.is_empty() || line.starts_with("//") || line.starts_with("pub "));
        if (is_tuple || is_plain) && !attributes.contains("#[non_exhaustive]") {
            open.insert(name);
        }
    }
    let on_purpose = [
        "BufferOverflow", // both numbers of a comparison, and no third
        "Properties",     // a request, made by users as a literal
        "ReferenceTime",  // a number with a unit
    ];
    assert_eq!(open, on_purpose.map(str::to_owned).into());
    // That these compile proves it from outside.
    let Properties {
        buffers: _,
        size: _,
        align: _,
        prefix: _,
    } = Properties::default();
    let ReferenceTime(_units) = ReferenceTime(0);
}

/// An error type that is not listed in `every_error` would be checked by none of the tests above.
#[test]
fn no_error_type_of_the_crate_is_left_out() {
    let mut known: BTreeSet<_> = every_error()
        .into_iter()
        .map(|(name, _)| name.to_owned())
        .collect();
    if cfg!(not(feature = "stream")) {
        known.extend(["ReadError", "FrameError", "LengthError", "LineTooLong"].map(str::to_owned));
    }
    let all = declared("enum").into_iter().chain(declared("struct"));
    let errors = all.filter(|(_, attributes, _)| {
        let derived = attributes
            .split("derive(")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        derived
            .flat_map(|list| list.split(", "))
            .any(|name| name == "Error")
    });
    let errors: BTreeSet<_> = errors.map(|(name, ..)| name).collect();
    assert_eq!(errors, known);
    for (file, lines) in sources() {
        let mut by_hand = lines
            .iter()
            .filter(|line| line.starts_with("impl") && line.contains("Error for "));
        let is_error =
            |line: &String| line.contains(" Error for ") || line.contains("::Error for ");
        assert!(
            !by_hand.any(|line| is_error(line) && !line.contains("From<")),
            "{file}"
        );
    }
}
