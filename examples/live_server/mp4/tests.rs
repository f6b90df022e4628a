//! The parser against streams that ffmpeg wrote, cut in every place.
