//! What the images of an exam are evidence of, for charge proposals.

use crate::{
    domain::charges::{Evidence, Kind},
    imaging::{Header, header::ImageKind},
    store::instance::InstanceRow,
};
use chiasm_proto::Eye;

/// One piece of evidence for each series; none for what makes no proposal.
pub fn of_images(rows: &[InstanceRow]) -> Vec<Evidence> {
    let mut found: Vec<Evidence> = Vec::new();
    for row in rows {
        let header: Header = serde_json::from_str(&row.header).unwrap_or_default();
        let Some(kind) = kind_of(&header) else { continue };
        let eyes = match row.eye.as_str() {
            "R" => vec![Eye::Right],
            "L" => vec![Eye::Left],
            "B" => vec![Eye::Right, Eye::Left],
            _ => vec![Eye::NotGiven],
        };
        let is_same = |it: &&mut Evidence| it.kind == kind && it.id == row.series_instance_uid;
        if let Some(known) = found.iter_mut().find(is_same) {
            known.eyes.extend(eyes);
            known.eyes.sort();
            known.eyes.dedup();
            continue;
        }
        let at = row.acquired_at.as_deref().and_then(|at| at.get(11..16)).unwrap_or_default();
        let instrument = header.model.as_deref().unwrap_or(&row.calling_ae);
        let words = format!("{} by {instrument} {at}", header.kind.label());
        let id = row.series_instance_uid.clone();
        found.push(Evidence { kind, id, eyes, words: words.trim().to_owned() });
    }
    found
}

fn kind_of(header: &Header) -> Option<Kind> {
    match header.kind {
        ImageKind::OctVolume | ImageKind::OctScan | ImageKind::OctAngiography => {
            Some(if is_of_nerve(header) { Kind::NerveImage } else { Kind::RetinaImage })
        }
        ImageKind::FundusPhoto | ImageKind::WideFieldPhoto => Some(Kind::FundusPhoto),
        ImageKind::TopographyMap => Some(Kind::Topography),
        ImageKind::Measurement if header.modality.as_deref() == Some("OPV") => {
            Some(Kind::ThresholdField)
        }
        _ => None,
    }
}

/// By the anatomic region, and by what imagers call their scans of the nerve. It is a proposal:
/// somebody looks at it before it is billed.
fn is_of_nerve(header: &Header) -> bool {
    const WORDS: [&str; 6] = ["optic nerve", "optic disc", "nerve head", "onh", "rnfl", "glaucoma"];
    let texts = [&header.region, &header.protocol, &header.series_description];
    texts.into_iter().flatten().any(|text| {
        let text = text.to_lowercase();
        WORDS.iter().any(|word| text.contains(word))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_is_of_the_nerve_where_the_imager_says_so() {
        let of = |kind, region: &str, protocol: &str| {
            let (region, protocol) = (Some(region.to_owned()), Some(protocol.to_owned()));
            kind_of(&Header { kind, region, protocol, ..Header::default() })
        };
        assert_eq!(of(ImageKind::OctVolume, "Retina", "Macular Cube"), Some(Kind::RetinaImage));
        assert_eq!(of(ImageKind::OctVolume, "Optic nerve head", ""), Some(Kind::NerveImage));
        assert_eq!(of(ImageKind::OctScan, "Retina", "RNFL circle"), Some(Kind::NerveImage));
        assert_eq!(of(ImageKind::AnteriorOct, "Cornea", ""), None);
        assert_eq!(of(ImageKind::ScanningLaser, "Retina", ""), None, "comes with every OCT");
    }
}
