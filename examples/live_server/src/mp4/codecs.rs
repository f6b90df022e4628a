//! What a codec is called in a media type: RFC 6381, and what each codec's own specification adds to it.
//!
//! | sample entry   | name                                        | defined by                       |
//! |----------------|---------------------------------------------|----------------------------------|
//! | `avc1`, `avc3` | profile, constraints and level              | RFC 6381, 3.3                    |
//! | `hvc1`, `hev1` | profile, compatibility, level, constraints  | ISO/IEC 14496-15, annex E        |
//! | `av01`         | profile, level, depth, colours              | AV1 in ISOBMFF, 5                |
//! | `vp08`, `vp09` | profile, level, depth                       | VP codecs in ISOBMFF             |
//! | `mp4a`         | object type, and the kind of AAC            | RFC 6381, 3.3                    |
//! | `Opus`, `fLaC` | in lower case                               | what browsers ask for            |
//! | `encv`, `enca` | that of the codec that is encrypted         | Common Encryption; its `frma`    |
//! | any other      | its four-character code                     | RFC 6381, 3.3                    |
//!
//! A codec whose configuration cannot be read is called by its code alone: that is for the decoder to judge,
//! and the stream passes whatever its codec.

use mp4_atom::{Audio, Av1c, Avcc, Colr, Decode, Esds, Hvcc, VpcC};

use super::{
    boxes,
    boxes::{Child, Kind},
};

/// What stands before the boxes in the entry of a video track. Its text need not be one.
const VISUAL_ENTRY: usize = 78;
/// More than any `esds` has. Its descriptors may stand in one another, and are decoded by recursion.
const LONGEST_ESDS: usize = 512;
/// MPEG-4 audio, of which the object type says which kind.
const MPEG4_AUDIO: u8 = 0x40;

/// Whether a sample entry is what ffmpeg writes for the cover of an album: its code is that of the picture's format in the
/// album's tags, 13 or 14, and no sample of it comes.
pub(super) fn is_cover(entry: &Child<'_>) -> bool {
    entry.kind.0[1..] == [0; 3]
}

/// The name of the codec that a sample entry describes, fit for a quoted string.
pub(super) fn codec(entry: &Child<'_>) -> String {
    let original = match &entry.kind.0 {
        b"encv" => entry.children(VISUAL_ENTRY).and_then(original),
        b"enca" => in_audio(entry).and_then(original),
        _ => return named(entry),
    };
    let kind = original.unwrap_or(entry.kind);
    named(&Child { kind, ..*entry })
}

/// What was encrypted, by what is in its entry.
fn original(entry: Vec<Child<'_>>) -> Result<Kind, String> {
    let format = find(entry, b"sinf")?.child(b"frma")?;
    let format = format.content.first_chunk();
    Ok(Kind(*format.ok_or("frma: it ends too early")?))
}

fn named(entry: &Child<'_>) -> String {
    let configured = match &entry.kind.0 {
        b"avc1" | b"avc3" => avc(entry),
        b"hvc1" | b"hev1" => hevc(entry),
        b"av01" => av1(entry),
        b"vp08" | b"vp09" => vp(entry),
        b"mp4a" => mpeg4_audio(entry),
        b"Opus" => Ok("opus".to_owned()),
        b"fLaC" => Ok("flac".to_owned()),
        _ => Ok(code(entry.kind)),
    };
    configured.unwrap_or_else(|_| code(entry.kind))
}

/// A code as a token: what cannot stand in one is written as RFC 6381 says, `%` and two digits.
fn code(kind: Kind) -> String {
    let token =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'+');
    let written = |byte: &u8| match *byte {
        byte if token(byte) => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    kind.0.iter().map(written).collect()
}

/// The box of this kind in the entry of a video track.
fn in_visual<'a>(entry: &Child<'a>, kind: &[u8; 4]) -> Result<Child<'a>, String> {
    find(entry.children(VISUAL_ENTRY)?, kind)
}

/// The boxes in the entry of a track of sound.
fn in_audio<'a>(entry: &Child<'a>) -> Result<Vec<Child<'a>>, String> {
    let mut content = entry.content;
    // How long it is depends on its version.
    Audio::decode(&mut content).map_err(|error| error.to_string())?;
    boxes::children(content)
}

fn find<'a>(children: Vec<Child<'a>>, kind: &[u8; 4]) -> Result<Child<'a>, String> {
    let found = children.into_iter().find(|child| child.kind.0 == *kind);
    found.ok_or_else(|| format!("there is no {}", Kind(*kind)))
}

fn avc(entry: &Child<'_>) -> Result<String, String> {
    let Avcc {
        avc_profile_indication: profile,
        profile_compatibility: constraints,
        avc_level_indication: level,
        ..
    } = in_visual(entry, b"avcC")?.decode()?;
    let kind = entry.kind;
    Ok(format!("{kind}.{profile:02x}{constraints:02x}{level:02x}"))
}

fn hevc(entry: &Child<'_>) -> Result<String, String> {
    let hevc: Hvcc = in_visual(entry, b"hvcC")?.decode()?;
    let space = ["", "A", "B", "C"][usize::from(hevc.general_profile_space & 3)];
    let profile = hevc.general_profile_idc;
    // The flag of profile 0 is the highest bit, and is to be the lowest.
    let compatible = u32::from_be_bytes(hevc.general_profile_compatibility_flags).reverse_bits();
    let tier = if hevc.general_tier_flag { 'H' } else { 'L' };
    let (kind, level) = (entry.kind, hevc.general_level_idc);
    let mut name = format!("{kind}.{space}{profile}.{compatible:X}.{tier}{level}");
    let constraints = hevc.general_constraint_indicator_flags;
    let last = constraints.iter().rposition(|&byte| byte != 0);
    for byte in constraints.iter().take(last.map_or(0, |last| last + 1)) {
        name += &format!(".{byte:X}");
    }
    Ok(name)
}

fn av1(entry: &Child<'_>) -> Result<String, String> {
    let av1: Av1c = in_visual(entry, b"av1C")?.decode()?;
    let profile = av1.seq_profile;
    let level = av1.seq_level_idx_0;
    let tier = if av1.seq_tier_0 { 'H' } else { 'M' };
    let depth = match (av1.high_bitdepth, av1.twelve_bit && profile == 2) {
        (false, _) => 8,
        (true, false) => 10,
        (true, true) => 12,
    };
    let name = format!("av01.{profile}.{level:02}{tier}.{depth:02}");
    let colours = av1_colours(&av1, entry);
    // All of the optional fields or none.
    let default = colours == "0.110.01.01.01.0";
    Ok(if default {
        name
    } else {
        format!("{name}.{colours}")
    })
}

/// The optional fields: monochrome, subsampling, primaries, transfer, matrix and full range.
fn av1_colours(av1: &Av1c, entry: &Child<'_>) -> String {
    let (x, y) = (av1.chroma_subsampling_x, av1.chroma_subsampling_y);
    let position = if x && y {
        av1.chroma_sample_position
    } else {
        0
    };
    let (monochrome, x, y) = (u8::from(av1.monochrome), u8::from(x), u8::from(y));
    let colours = in_visual(entry, b"colr").and_then(|colr| colr.decode());
    let (primaries, transfer, matrix, full) = match colours {
        Ok(Colr::Nclx {
            colour_primaries,
            transfer_characteristics,
            matrix_coefficients,
            full_range_flag,
        }) => (
            colour_primaries,
            transfer_characteristics,
            matrix_coefficients,
            u8::from(full_range_flag),
        ),
        // None is named here, or as a profile that has no number.
        _ => (1, 1, 1, 0),
    };
    format!("{monochrome}.{x}{y}{position}.{primaries:02}.{transfer:02}.{matrix:02}.{full}")
}

fn vp(entry: &Child<'_>) -> Result<String, String> {
    let VpcC {
        profile,
        level,
        bit_depth,
        ..
    } = in_visual(entry, b"vpcC")?.decode()?;
    let kind = entry.kind;
    Ok(format!("{kind}.{profile:02}.{level:02}.{bit_depth:02}"))
}

fn mpeg4_audio(entry: &Child<'_>) -> Result<String, String> {
    let descriptors = find(in_audio(entry)?, b"esds")?;
    if descriptors.content.len() > LONGEST_ESDS {
        return Err("the esds is too long".to_owned());
    }
    let descriptors: Esds = descriptors.decode()?;
    let config = descriptors.es_desc.dec_config;
    let kind = entry.kind;
    let object = config.object_type_indication;
    let audio = config.dec_specific.filter(|_| object == MPEG4_AUDIO);
    Ok(match audio.map(|specific| specific.profile) {
        // 0 is no type: there are too few bytes to tell it.
        None | Some(0) => format!("{kind}.{object:02X}"),
        Some(audio) => format!("{kind}.{object:02X}.{audio}"),
    })
}
