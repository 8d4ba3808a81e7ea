//! What instruments, cables and networks do to a gateway. Each time: no number, an error that names
//! link, driver and position, the bytes kept, and everything else as if nothing had happened.

use anyhow::{Context, ensure};
use chiasm_testbed::{
    instrument::Attachment,
    pty::Pty,
    station::Wire,
    story::story,
    wait,
    ward::{PSS_BYTES_MAX, Ward},
};
use rand::{RngCore, SeedableRng, rngs::StdRng};

/// An attack of this length is read, refused and not kept whole.
const HUGE_LEN: usize = 10 * 1024 * 1024;

#[test]
fn a_wrong_checksum_gives_no_number() {
    story("checksum", async {
        let mut ward = Ward::open("ARK-1a", Wire::Serial).await?;
        let print = ward.next_print()?;
        let mut bytes = print.transmission.bytes;
        let last = bytes.last_mut().context("a print is not empty")?;
        *last = if *last == b'0' { b'1' } else { b'0' };
        ward.send(&bytes).await?;
        let capture = ward.captured_with_position("checksum").await?;
        ensure!(capture.raw.bytes == bytes, "the capture is not what was sent");
        ward.is_well().await?;
        ensure!(ward.ledger.readings().await?.len() == 2, "the bad frame gave a reading");
        Ok(())
    });
}

#[test]
fn half_a_frame_is_kept_and_never_continued_by_the_next() {
    story("half a frame", async {
        let mut ward = Ward::open("ARK-1a", Wire::Serial).await?;
        let print = ward.next_print()?;
        let half = &print.transmission.bytes[..print.transmission.bytes.len() / 2];
        ward.send(half).await?;
        let capture = ward.captured_with_position("incomplete").await?;
        ensure!(capture.raw.bytes == half, "the capture is not what was sent");
        ward.is_well().await
    });
}

#[test]
fn frames_in_one_piece_and_noise_around_them_are_told_apart() {
    story("noise", async {
        let mut ward = Ward::open("ARK-1a", Wire::Serial).await?;
        let (first, second) = (ward.next_print()?, ward.next_print()?);
        let noise = [0x00, 0xFF, 0x51, 0x37, 0x80];
        let bytes =
            [&noise[..], &first.transmission.bytes, &noise, &second.transmission.bytes, &noise]
                .concat();
        ward.send(&bytes).await?;
        ward.filed(0, &first).await?;
        ward.filed(0, &second).await?;
        let capture = ward.captured_with_position("noise").await?;
        ensure!(capture.raw.bytes == noise, "kept {:?}", capture.raw.bytes);
        ward.is_well().await
    });
}

#[test]
fn a_wrong_baud_rate_gives_no_number() {
    story("wrong baud rate", async {
        let mut ward = Ward::open("ARK-1a", Wire::Serial).await?;
        // What a receiver at another speed makes of a print has nothing to do with its bytes.
        let mut garbage = vec![0; 700];
        StdRng::seed_from_u64(7).fill_bytes(&mut garbage);
        garbage.retain(|byte| *byte != 0x01);
        ward.send(&garbage).await?;
        ward.captured_with_position("noise").await?;
        ward.is_well().await?;
        ensure!(ward.ledger.readings().await?.len() == 2, "the garbage gave a reading");
        Ok(())
    });
}

#[test]
fn a_frame_of_ten_megabytes_is_refused_in_bounded_memory() {
    story("ten megabytes", async {
        let mut ward = Ward::open("ARK-1a", Wire::Serial).await?;
        ward.send(b"\x01DRM\x02").await?;
        let piece = [b'A'; 64 * 1024];
        for _ in 0..HUGE_LEN / piece.len() {
            ward.send(&piece).await?;
        }
        ward.captured_with_position("too_long").await?;
        ward.send(&[0x04]).await?;
        let pss = ward.clinic.gateways[0].process()?.pss_bytes()?;
        ensure!(pss < PSS_BYTES_MAX, "the gateway holds {pss} bytes");
        ward.is_well().await
    });
}

#[test]
fn a_pulled_cable_is_noticed_and_a_new_one_found_without_a_restart() {
    story("cable", async {
        let mut ward = Ward::open("ARK-1a", Wire::Serial).await?;
        let print = ward.next_print()?;
        let half = &print.transmission.bytes[..print.transmission.bytes.len() / 2];
        ward.send(half).await?;
        let link = ward.patient().link.id.clone();
        let path = ward.clinic.folder().join(format!("{link}.tty"));
        let nothing = Attachment::connecting(0);
        let Attachment::Serial(pty) = std::mem::replace(&mut ward.patient().attachment, nothing)
        else {
            anyhow::bail!("the instrument is on a serial line")
        };
        ward.clinic.gateways[0].has_journaled(&link, half.len()).await?;
        pty.pull_out()?;
        ward.clinic.gateways[0].process()?.says("link is down", wait::USUAL_MAX).await?;
        ward.captured_with_position("incomplete").await?;
        // The neighbour prints while the cable is out.
        let (print, _) = ward.clinic.stations[1].press_print().await?;
        ward.filed(1, &print).await?;
        ward.patient().attachment = Attachment::Serial(Pty::plug_in(&path)?);
        let (print, _) = ward.patient().press_print().await?;
        ward.filed(0, &print).await?;
        ward.is_well().await
    });
}
