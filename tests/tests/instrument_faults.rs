//! What instruments and their cables do wrong, as a technician sees it. Each test bears the number
//! of its story.

use anyhow::{Context, bail, ensure};
use chiasm_drivers::sim::ArkPrint;
use chiasm_proto::Body;
use chiasm_testbed::{
    clinic::{Clinic, patients},
    instrument::Attachment,
    person::Person,
    pty::Pty,
    story::story,
    visit,
};
use jiff::SignedDuration;
use std::time::{Duration, Instant};

/// How soon the lane says that a transmission was broken off, and how soon a line that is back is
/// listened to (T6), with time to spare on a busy test machine.
const BROKEN_OFF_MAX: Duration = Duration::from_secs(10);
const BACK_MAX: Duration = Duration::from_secs(10);

/// The cable is pulled in the middle of a print: the lane's page says so and shows no number; after
/// it is plugged in again the next print arrives without anybody's help.
#[test]
fn t6_cable_pulled_mid_frame() {
    story("T6", async {
        let mut clinic = Clinic::with_one_lane(&["ARK-1a"], 1).await?;
        let patient = patients(1).remove(0);
        let ana = Person::sign_in(&clinic, "technician").await?;
        ana.follow("/lanes/lane-1").await?;
        ana.taps(&clinic, "lane-1", &patient).await?;
        let print = clinic.stations[0].next_print()?;
        let half = &print.transmission.bytes[..print.transmission.bytes.len() / 2];
        let link = clinic.stations[0].link.id.clone();
        clinic.stations[0].attachment.send(half).await?;
        clinic.gateways[0].has_journaled(&link, half.len()).await?;
        let path = clinic.folder().join(format!("{link}.tty"));
        let nothing = Attachment::connecting(0);
        let attachment = std::mem::replace(&mut clinic.stations[0].attachment, nothing);
        let Attachment::Serial(pty) = attachment else { bail!("it is on a serial line") };
        pty.pull_out()?;
        ana.browser.shows("#unread", "Incomplete: print again", BROKEN_OFF_MAX).await?;
        ana.sees("#unread", &link).await?;
        ana.sees("#readings", "Nothing yet").await?;

        clinic.stations[0].attachment = Attachment::Serial(Pty::plug_in(&path)?);
        let plugged_in = Instant::now();
        let (print, _) = clinic.stations[0].press_print().await?;
        ana.browser.shows("#readings .reading h3", "ARK-1a", BACK_MAX).await?;
        ensure!(plugged_in.elapsed() < BACK_MAX, "{:?} until it was read", plugged_in.elapsed());
        ana.sees_no_more("main", "Incomplete").await?;
        ana.has_not_reloaded().await?;
        let http = clinic.technician().await?;
        let exam = visit::schedule(&http).await?.remove(0);
        let readings = visit::readings(&http, &exam).await?;
        ensure!(readings.len() == 1, "{} readings", readings.len());
        readings[0].check(&print)
    });
}

/// The same bytes again are one reading, sent twice; a measurement made again is a new one, which
/// is offered first.
#[test]
fn t5_duplicate_print() {
    story("T5", async {
        let mut clinic = Clinic::with_one_lane(&["ARK-1a"], 1).await?;
        let patient = patients(1).remove(0);
        let ana = Person::sign_in(&clinic, "technician").await?;
        ana.follow("/lanes/lane-1").await?;
        ana.taps(&clinic, "lane-1", &patient).await?;
        let (first, _) = clinic.stations[0].press_print().await?;
        ana.sees("#readings h2", "1").await?;
        clinic.stations[0].send(&first).await?;
        ana.sees("#readings .reading", "sent 2×").await?;
        ana.sees("#readings h2", "1").await?;
        let (second, _) = clinic.stations[0].press_print().await?;
        ana.sees("#readings h2", "2").await?;
        ana.has_not_reloaded().await?;
        let http = clinic.technician().await?;
        let exam = visit::schedule(&http).await?.remove(0);
        let readings = visit::readings(&http, &exam).await?;
        ensure!(readings.len() == 2, "{} readings", readings.len());
        readings[0].check(&second)?;
        readings[1].check(&first)?;
        let top = ana.browser.client().find(fantoccini::Locator::Css("#readings .reading")).await?;
        let id = top.attr("id").await?.context("a reading has an id")?;
        ensure!(id == format!("reading-{}", readings[0].id), "the earlier one is offered first");
        Ok(())
    });
}

/// The instrument's clock is 47 minutes behind: the reading is filed by the gateway's time, the
/// difference is shown, and what the instrument said stays as it said it.
#[test]
fn i6_clock_wrong_by_47_minutes() {
    story("I6", async {
        let mut clinic = Clinic::with_one_lane(&["ARK-1a"], 1).await?;
        let patient = patients(1).remove(0);
        let ana = Person::sign_in(&clinic, "technician").await?;
        ana.follow("/lanes/lane-1").await?;
        ana.taps(&clinic, "lane-1", &patient).await?;
        let before = jiff::Timestamp::now();
        let behind = before - SignedDuration::from_mins(47);
        let time = behind.to_zoned(jiff::tz::TimeZone::UTC).datetime();
        let print = ArkPrint { time, ..ArkPrint::random(7) };
        clinic.stations[0].attachment.send(&print.bytes()).await?;
        ana.sees("#readings .reading h3", "ARK-1a").await?;

        let http = clinic.technician().await?;
        let exam = visit::schedule(&http).await?.remove(0);
        let filed = visit::readings(&http, &exam).await?.remove(0);
        let captured = filed.envelope.time;
        ensure!(before <= captured && captured <= jiff::Timestamp::now(), "filed by {captured}");
        let Body::Reading(reading) = &filed.envelope.body else { bail!("it is no reading") };
        let said =
            reading.decoded.instrument_time.as_ref().context("the instrument said a time")?;
        let said = said.local.context("in a form that can be read")?;
        ensure!((said.hour(), said.minute()) == (time.hour(), time.minute()), "it says {said}");
        // The instrument says no seconds.
        let local = captured.to_zoned(jiff::tz::TimeZone::UTC).datetime();
        let minutes = local.duration_since(said).as_mins();
        ensure!((47..=48).contains(&minutes), "{minutes} minutes");
        ana.open(&format!("/exams/{}", exam.id)).await?;
        ana.sees("#log", &format!("instrument's clock is {minutes} min behind")).await?;
        ana.sees("#log time", &local.strftime("%H:%M:%S").to_string()).await
    });
}
