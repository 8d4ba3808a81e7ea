//! What the gateway's log tells of moments inside it.

use chiasm_proto::Seq;
use jiff::Timestamp;

/// One acknowledgement as the gateway took it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AckLine {
    pub at: Timestamp,
    upto: Seq,
    missing: Vec<Seq>,
}

/// What the gateway says at debug level when it takes an acknowledgement.
const ACK: &str = "the cloud has filed";

/// All acknowledgements in a log, oldest first.
pub fn acks(log: &str) -> Vec<AckLine> {
    log.lines().filter(|line| line.contains(ACK)).filter_map(parse_ack).collect()
}

/// When a number was acknowledged first.
pub fn acknowledged_at(acks: &[AckLine], seq: Seq) -> Option<Timestamp> {
    let covers = |ack: &&AckLine| ack.upto >= seq && !ack.missing.contains(&seq);
    acks.iter().find(covers).map(|ack| ack.at)
}

/// When each line that holds a text was written.
pub fn moments(log: &str, text: &str) -> Vec<Timestamp> {
    log.lines().filter(|line| line.contains(text)).filter_map(|line| time(&plain(line))).collect()
}

fn parse_ack(line: &str) -> Option<AckLine> {
    let line = plain(line);
    let upto = line.split_once("upto=")?.1.split(' ').next()?.parse().ok()?;
    let missing = line.split_once("missing=[")?.1.split_once(']')?.0;
    let missing = missing.split(',').filter_map(|seq| seq.trim().parse().ok()).collect();
    Some(AckLine { at: time(&line)?, upto, missing })
}

/// A line begins with its time.
fn time(line: &str) -> Option<Timestamp> {
    line.split(' ').next()?.parse().ok()
}

/// Without the colours of a terminal.
fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        text.push_str(before);
        rest = after.split_once('m').map_or("", |(_, after)| after);
    }
    text + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "\u{1b}[2m2026-11-23T10:00:00.000250Z\u{1b}[0m DEBUG chiasm_gateway::uplink: \
        the cloud has filed \u{1b}[3mupto\u{1b}[0m\u{1b}[2m=\u{1b}[0m3 missing=[1, 2]\n\
        2026-11-23T10:00:01.000000Z  INFO chiasm_gateway: link is up link=ark\n\
        2026-11-23T10:00:02.500000Z DEBUG the cloud has filed upto=3 missing=[1]\n";

    #[test]
    fn a_number_is_acknowledged_by_the_first_line_that_covers_it() {
        let acks = acks(LOG);
        let at = |text: &str| Some(text.parse::<Timestamp>().unwrap());
        assert_eq!(acknowledged_at(&acks, 3), at("2026-11-23T10:00:00.00025Z"));
        assert_eq!(acknowledged_at(&acks, 2), at("2026-11-23T10:00:02.5Z"));
        assert_eq!(acknowledged_at(&acks, 1), None);
        assert_eq!(acknowledged_at(&acks, 4), None);
        assert_eq!(moments(LOG, "link is up"), [at("2026-11-23T10:00:01Z").unwrap()]);
    }
}
