//! Putting sections together (`seal` of `blob.py`): one blob under a header with checksum and signature.

use ring::digest::{Context, SHA256};
use ring::hmac;

const SECTIONS: usize = 16;
const ALIGNMENT: usize = 64;
const META_ROOM: usize = 1024;
const ROOM_BITS: u32 = 5;
const HEAD: usize = 24;
const HASH: usize = 32;
const HEADER: usize = HEAD + 2 * HASH;
const ENTRY: usize = 16;

/// What a section holds.
pub enum Content<'a> {
    Bytes(&'a [u8]),
    Words(&'a [u32]),
    /// Two runs of bytes, one behind the other.
    Joined([u8; 16], &'a [u8]),
}

impl Content<'_> {
    const fn len(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Words(words) => size_of_val(*words),
            Self::Joined(head, rest) => head.len() + rest.len(),
        }
    }

    fn write(&self, to: &mut [u8]) {
        match self {
            Self::Bytes(bytes) => to.copy_from_slice(bytes),
            Self::Words(words) => {
                for (place, word) in to.chunks_exact_mut(size_of::<u32>()).zip(*words) {
                    place.copy_from_slice(&word.to_le_bytes());
                }
            }
            Self::Joined(head, rest) => {
                let (first, second) = to.split_at_mut(head.len());
                first.copy_from_slice(head);
                second.copy_from_slice(rest);
            }
        }
    }
}

/// Where each section starts, and the size of the whole blob.
pub fn layout(sections: &[Content<'_>; SECTIONS]) -> ([usize; SECTIONS], usize) {
    let (mut starts, mut offset) = ([0; SECTIONS], HEADER + ENTRY * SECTIONS);
    for (number, content) in sections.iter().enumerate() {
        starts[number] = offset.next_multiple_of(ALIGNMENT);
        offset = starts[number] + room(number, content.len());
    }
    (starts, offset)
}

/// Writes the blob to memory of its size, which is all zeros.
pub fn seal(sections: &[Content<'_>; SECTIONS], starts: &[usize; SECTIONS], key: Option<&hmac::Key>, to: &mut [u8]) {
    to[..8].copy_from_slice(b"RIGHTCAL");
    to[8..12].copy_from_slice(&crate::rules::snapshot::FORMAT_VERSION.to_le_bytes());
    to[12..16].copy_from_slice(&(SECTIONS as u32).to_le_bytes());
    let size = to.len() as u64;
    to[16..HEAD].copy_from_slice(&size.to_le_bytes());
    for (number, (content, &start)) in sections.iter().zip(starts).enumerate() {
        let entry = HEADER + ENTRY * number;
        to[entry..entry + 8].copy_from_slice(&(start as u64).to_le_bytes());
        to[entry + 8..entry + ENTRY].copy_from_slice(&(content.len() as u64).to_le_bytes());
        content.write(&mut to[start..start + content.len()]);
    }
    let digest = hash(&[&to[..HEAD], &to[HEADER..]]);
    let mut signature = [0; HASH];
    if let Some(key) = key {
        signature.copy_from_slice(hmac::sign(key, &[&b"snapshot\0"[..], &digest].concat()).as_ref());
    }
    to[HEAD..HEAD + HASH].copy_from_slice(&signature);
    to[HEAD + HASH..HEADER].copy_from_slice(&hash(&[&digest, &signature]));
}

/// The room, in bytes, for a section of this size.
const fn room(section: usize, size: usize) -> usize {
    let bits = usize::BITS - size.leading_zeros();
    let step = 1 << bits.saturating_sub(ROOM_BITS);
    let least = if section == 0 { META_ROOM } else { ALIGNMENT };
    size.next_multiple_of(if step > least { step } else { least })
}

fn hash(parts: &[&[u8]]) -> [u8; HASH] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; HASH];
    out.copy_from_slice(context.finish().as_ref());
    out
}
