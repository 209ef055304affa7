//! Units and runs of spaces as bytes.

/// How a run of spaces ends. Runs up to [`SHORT`] take one byte, longer ones five.
pub(super) const END: u8 = 0x80;
const SHORT: u32 = 0x3C;
const LONG_BEFORE_SMALLER: u8 = 0x3D;
const LONG_BEFORE_GREATER: u8 = 0xC2;

/// Less than all units: no weight has the unit 0.
pub(super) const LEAST: u8 = 0;

/// The key of a text whose units are one byte each, and where only a space has the space's.
pub(super) fn encode_bytes(text: &[u8], space: u8, unit: impl Fn(u8) -> u8, out: &mut Vec<u8>) {
    let length = text.iter().rposition(|&byte| byte != b' ').map_or(0, |last| last + 1);
    let text = &text[..length];
    let mut at = 0;
    while at < text.len() {
        let word = text[at..].iter().position(|&byte| byte == b' ').map_or(text.len(), |n| at + n);
        out.extend(text[at..word].iter().map(|&byte| unit(byte)));
        at = word;
        let run = text[at..].iter().take_while(|&&byte| byte == b' ').count();
        if run > 0 {
            at += run;
            write_run(&[space], run as u32, unit(text[at]) < space, out);
        }
    }
    out.push(space);
    out.push(END);
}

pub(super) fn write_run(space: &[u8], run: u32, before_smaller: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(space);
    match (before_smaller, run <= SHORT) {
        (true, true) => out.push(run as u8),
        (true, false) => {
            out.push(LONG_BEFORE_SMALLER);
            out.extend_from_slice(&run.to_be_bytes());
        }
        (false, true) => out.push(0xFF - run as u8),
        (false, false) => {
            out.push(LONG_BEFORE_GREATER);
            out.extend_from_slice(&(!run).to_be_bytes());
        }
    }
}

/// Units as they are written.
pub(super) fn written(units: &[u32]) -> Vec<u8> {
    let mut out = Vec::new();
    units.iter().for_each(|&unit| write_unit(unit, &mut out));
    out
}

pub(super) fn write_unit(unit: u32, out: &mut Vec<u8>) {
    match unit {
        0..0x80 => out.push(unit as u8),
        0x80..0x6080 => {
            let [high, low] = ((unit - 0x80) as u16).to_be_bytes();
            out.extend([0x80 + high, low]);
        }
        0x6080..0x1_0000 => {
            let [high, low] = ((unit - 0x6080) as u16).to_be_bytes();
            out.extend([0xE0, high, low]);
        }
        _ => {
            out.push(0xE1);
            out.extend(unit.to_be_bytes());
        }
    }
}
