use super::*;

fn frames(input: &[u8]) -> Vec<Framed> {
    let mut framer = Framer::default();
    framer.input(Instant::now(), input);
    framer.end();
    std::iter::from_fn(|| framer.poll()).collect()
}

fn sealed(body: &str) -> Vec<u8> {
    let mut bytes = body.as_bytes().to_vec();
    bytes.push(EOT);
    let sum = checksum(&bytes);
    bytes.extend(format!("{sum:04X}").into_bytes());
    bytes
}

const BODY: &str = "\x01DNT\x02IDNIDEK/NT-510\x17 L01    12/1.6  AV12.0/1.60\x17";

#[test]
fn a_checksummed_frame_is_ready_with_its_last_digit() {
    let bytes = sealed(BODY);
    let mut framer = Framer::default();
    framer.input(Instant::now(), &bytes[..bytes.len() - 1]);
    assert_eq!(framer.poll(), None);
    framer.input(Instant::now(), &bytes[bytes.len() - 1..]);
    assert!(matches!(framer.poll(), Some(Framed::Frame(Frame { is_proved: true, .. }))));
    assert_eq!(framer.deadline(), None);
}

#[test]
fn without_a_checksum_the_frame_is_ready_200_ms_after_its_end() {
    let start = Instant::now();
    let mut framer = Framer::default();
    framer.input(start, BODY.as_bytes());
    assert_eq!(framer.deadline(), Some(start + SILENCE_MAX));
    framer.input(start, &[EOT]);
    assert_eq!(framer.deadline(), Some(start + CHECKSUM_WAIT));
    framer.timeout(start + CHECKSUM_WAIT - Duration::from_millis(1));
    assert_eq!(framer.poll(), None);
    framer.timeout(start + CHECKSUM_WAIT);
    assert!(matches!(framer.poll(), Some(Framed::Frame(Frame { is_proved: false, .. }))));
}

#[test]
fn silence_inside_a_frame_makes_it_incomplete() {
    let start = Instant::now();
    let mut framer = Framer::default();
    framer.input(start, &BODY.as_bytes()[..30]);
    framer.timeout(start + SILENCE_MAX);
    let Some(Framed::Refused { error, raw }) = framer.poll() else { panic!("not refused") };
    assert_eq!((error.code, raw.len()), (ErrorCode::Incomplete, 30));
    assert_eq!(framer.deadline(), None);
}

#[test]
fn a_wrong_or_short_checksum_refuses_the_frame() {
    let mut wrong = sealed(BODY);
    *wrong.last_mut().unwrap() ^= 1;
    let short = &sealed(BODY)[..BODY.len() + 3];
    for bytes in [wrong.as_slice(), short, &[short, b"\r"].concat()] {
        let found = frames(bytes);
        let Framed::Refused { error, .. } = &found[0] else { panic!("{found:?}") };
        assert_eq!(error.code, ErrorCode::Checksum);
    }
}

#[test]
fn line_ends_belong_to_the_next_frame_and_noise_is_told() {
    let bytes = [b"\r\n".as_slice(), &sealed(BODY), b"\r", &sealed(BODY), b"\r\n"].concat();
    let found = frames(&bytes);
    assert!(matches!(&found[0], Framed::Frame(frame) if frame.start == 2));
    assert!(matches!(&found[1], Framed::Frame(frame) if frame.start == 1));
    assert_eq!(found[2], Framed::LineEnds { raw: b"\r\n".to_vec() });
    let found = frames(&[b"\x00\xFFQ7".as_slice(), &sealed(BODY)].concat());
    let Framed::Refused { error, raw } = &found[0] else { panic!("{found:?}") };
    assert_eq!((error.code, raw.len()), (ErrorCode::Noise, 4));
    assert!(matches!(&found[1], Framed::Frame(_)));
}

#[test]
fn padding_behind_a_recording_is_no_part_of_it() {
    let bare = [BODY.as_bytes(), &[EOT]].concat();
    for padding in [&b"\0"[..], b"\x1A", b"\0\0\0", b"\r\n\0\0", b"\r\x1A"] {
        let bytes = [bare.as_slice(), padding].concat();
        let [Framed::Frame(frame)] = &frames(&bytes)[..] else { panic!("{padding:?}") };
        assert_eq!((frame.raw.len(), frame.is_proved), (bytes.len(), false), "{padding:?}");
        let twice = frames(&bytes.repeat(2));
        assert!(matches!(&twice[..], [Framed::Frame(_), Framed::Frame(_)]), "{padding:?}");
    }
    // A digit of a checksum that failed its parity check comes as NUL.
    let sealed = sealed(BODY);
    for at in bare.len()..sealed.len() {
        let mut damaged = sealed.clone();
        damaged[at] = 0;
        let found = frames(&damaged);
        assert!(matches!(&found[0], Framed::Refused { .. }), "{at}: {found:?}");
    }
    let long = frames(&[bare.as_slice(), &[0; 200]].concat());
    assert!(matches!(&long[..], [Framed::Frame(_), Framed::Refused { .. }]), "{long:?}");
}

#[test]
fn a_second_block_is_not_a_second_frame() {
    let two_blocks = sealed(&format!("{BODY}\x01DPM\x02 L01 0541  AV0541\x17"));
    assert!(matches!(&frames(&two_blocks)[..], [Framed::Frame(Frame { is_proved: true, .. })]));
}

#[test]
fn a_lost_end_refuses_the_first_frame_only() {
    let same_code_again = [BODY.as_bytes(), &sealed(BODY)].concat();
    let end_became_another_byte = [BODY.as_bytes(), b"\x05", &sealed(BODY)].concat();
    let a_command_follows = [BODY.as_bytes(), b"\x01C**\x02RS\x17\x04"].concat();
    for bytes in [same_code_again, end_became_another_byte, a_command_follows] {
        let found = frames(&bytes);
        let [Framed::Refused { error, .. }, Framed::Frame(_)] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(error.code, ErrorCode::Incomplete);
    }
}

#[test]
fn an_end_in_the_middle_refuses_the_frame() {
    let found = frames(b"\x01DRM\x02NO0417\x17\x04L-00.25-00.25-02\x17\x04");
    let Framed::Refused { error, .. } = &found[0] else { panic!("{found:?}") };
    assert_eq!((error.code, error.offset), (ErrorCode::Malformed, 12));
    assert!(matches!(&found[1], Framed::Refused { error, .. } if error.code == ErrorCode::Noise));
}

#[test]
fn what_never_ends_is_refused_once_and_then_counted() {
    let mut framer = Framer::default();
    framer.input(Instant::now(), &[&[SOH], "A".repeat(3 * FRAME_LEN_MAX).as_bytes()].concat());
    let Some(Framed::Refused { error, raw }) = framer.poll() else { panic!("not refused") };
    assert_eq!((error.code, raw.len()), (ErrorCode::TooLong, FRAME_LEN_MAX));
    assert!(std::iter::from_fn(|| framer.poll()).all(|it| matches!(it, Framed::Overflow { .. })));
    framer.input(Instant::now(), &[&[EOT], sealed(BODY).as_slice()].concat());
    assert!(matches!(framer.poll(), Some(Framed::Overflow { .. })));
    assert!(matches!(framer.poll(), Some(Framed::Frame(_))));
}

#[test]
fn the_sum_may_leave_out_line_ends_but_nothing_else() {
    let body = BODY.replace('\x17', "\x17\r\n");
    let bytes = format!("{body}\x04");
    let sum = |skip: &[u8]| {
        let counted = bytes.bytes().filter(|byte| !skip.contains(byte));
        counted.map(u32::from).sum::<u32>() % 0x1_0000
    };
    for skip in [&b""[..], b"\r\n"] {
        let found = frames(format!("{bytes}{:04X}\r\n", sum(skip)).as_bytes());
        assert!(matches!(&found[0], Framed::Frame(frame) if frame.is_proved), "{skip:?}");
    }
    for skip in [&b"\r"[..], b"\n", b"\x02"] {
        let found = frames(format!("{bytes}{:04X}\r\n", sum(skip)).as_bytes());
        assert!(matches!(&found[0], Framed::Refused { .. }), "{skip:?}");
    }
}

#[test]
fn bytes_behind_the_silence_are_of_the_next_frame() {
    let start = Instant::now();
    let mut framer = Framer::default();
    framer.input(start, &BODY.as_bytes()[..30]);
    framer.input(start + SILENCE_MAX, &sealed(BODY));
    let Some(Framed::Refused { error, raw }) = framer.poll() else { panic!("not refused") };
    assert_eq!((error.code, raw.len()), (ErrorCode::Incomplete, 30));
    assert!(matches!(framer.poll(), Some(Framed::Frame(Frame { is_proved: true, .. }))));
    // The first transmission of a frame without a checksum takes no digits from the next one.
    let mut framer = Framer::default();
    framer.input(start, &[BODY.as_bytes(), &[EOT]].concat());
    framer.input(start + CHECKSUM_WAIT, b"0");
    assert!(matches!(framer.poll(), Some(Framed::Frame(Frame { is_proved: false, .. }))));
}
