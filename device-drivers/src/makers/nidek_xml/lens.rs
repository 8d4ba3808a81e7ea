//! The tree of a lensmeter's `<Ophthalmology>` document, whoever made the lensmeter.

use super::{
    head::{self, Beginning},
    prism::{self, Bases, Component, HORIZONTAL, VERTICAL},
    values::{DEGREES, DIOPTRES, MILLIMETRES, PERCENT, Side, error, number, part, whole},
};
use crate::{
    DecodeError, DriverOptions, Sniff,
    format::xml::values::cylinder_mode,
    format::xml::{Document, El, Tree, patient::refuse_second, values::axis_beside},
};
use chiasm_proto::{
    Base, Decoded, Eye, Lensometry, Measured, Measurement, OtherTest, OtherValue, PupillaryDistance,
};

const ROOT: &str = "Ophthalmology";
const KIND: &str = "LM";
/// Longest document. The largest known is below 10 KiB.
pub const DOCUMENT_LEN_MAX: usize = 1 << 20;
/// Most measurements of one document; a pair of lenses with everything gives eight.
const MEASUREMENTS_MAX: usize = 64;
/// Known and of no use here: how the instrument is set to round and to show.
const UNUSED: [&str; 5] = ["AxisStep", "PrismDiopterStep", "PrismBaseStep", "PrismMode", "AddMode"];
/// `S` is a single lens without a side, and may repeat. Some firmware writes `I` and `S` where one
/// eye's lens was measured; a reader takes them for right and left in Latin, but `S` has the other
/// meaning in the manual, so neither is given a side.
const SIDES: [(Eye, &str); 4] =
    [(Eye::NotGiven, "S"), (Eye::NotGiven, "I"), (Eye::Right, "R"), (Eye::Left, "L")];

pub fn sniff(bytes: &[u8], company: &str) -> Sniff {
    let beginning = Beginning::of(bytes);
    let is_own = beginning.root() == ROOT && !beginning.has_namespaces();
    if is_own && beginning.is_of(company) && beginning.measures(KIND) {
        Sniff::Yes
    } else {
        Sniff::No
    }
}

pub fn read(raw: &[u8], options: &DriverOptions, company: &str) -> Result<Decoded, DecodeError> {
    let document = Document::parse(raw)?;
    let tree = Tree::new(&document);
    let root = tree.root();
    head::expect_root(&document, root, ROOT)?;
    refuse_second(root, "Common")?;
    let common = root.enter("Common").ok_or_else(|| head::wrong_kind(root, "no Common"))?;
    head::expect_company(common, company)?;
    let measures = root.enter_all("Measure");
    let is_lens = |el: &El| {
        let kind = el.node().attribute("type").unwrap_or("").trim();
        kind.eq_ignore_ascii_case(KIND)
    };
    if let Some(other) = measures.iter().find(|el| !is_lens(el)) {
        return Err(head::wrong_kind(*other, "a Measure that is not of a lensmeter"));
    }
    if measures.is_empty() {
        return Err(head::wrong_kind(root, "no Measure"));
    }
    let mut decoded = head::decode(common, options)?;
    for measure in measures {
        read_measure(measure, &mut decoded.measurements)?;
    }
    tree.finish(decoded, MEASUREMENTS_MAX)
}

fn read_measure(measure: El, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    measure.ignore(UNUSED);
    let settings = Lensometry {
        cylinder_mode: cylinder_mode(measure, "CylinderMode"),
        dioptre_step: number(measure, "DiopterStep", DIOPTRES)?,
        lens_type: measure.text_of("MeasureMode"),
        ..Lensometry::default()
    };
    for block in measure.enter_all("LM") {
        for (eye, token) in SIDES {
            for el in block.enter_all(token) {
                read_lens(el, &settings, Side { eye, token, into })?;
            }
        }
    }
    for block in measure.enter_all("PD") {
        let distance = pupillary_distance(block)?;
        if distance != PupillaryDistance::default() {
            let measured = Measured::PupillaryDistance(distance);
            into.push(Measurement::without_token(Eye::Both, measured));
        }
    }
    for block in measure.enter_all("NIDEK") {
        additions(block, into)?;
    }
    Ok(())
}

/// One lens, or nothing if every element is empty.
fn read_lens(el: El, settings: &Lensometry, mut side: Side) -> Result<(), DecodeError> {
    el.count_shot()?;
    if let Some(error) = error(el) {
        let _: Option<()> = side.failed(el);
        side.push(Measured::Lensometry(Lensometry { error: Some(error), ..settings.clone() }));
        return Ok(());
    }
    let cylinder = number(el, "Cylinder", DIOPTRES)?;
    let lens = Lensometry {
        sphere: number(el, ["Sphere", "Sphare"], DIOPTRES)?,
        cylinder,
        axis_deg: axis_beside(el, cylinder, whole(el, "Axis", DEGREES)?)?,
        add: number(el, "ADD", DIOPTRES)?,
        add2: number(el, "ADD2", DIOPTRES)?,
        near_sphere: number(el, ["NearSphere", "NearSphare"], DIOPTRES)?,
        near_sphere2: number(el, ["NearSphere2", "NearSphare2"], DIOPTRES)?,
        prism: prism::prism(el)?,
        uv_transmittance_percent: number(el, "UVTransmittance", PERCENT)?,
        ..Lensometry::default()
    };
    if lens != Lensometry::default() {
        side.push(Measured::Lensometry(Lensometry {
            cylinder_mode: settings.cylinder_mode,
            dioptre_step: settings.dioptre_step,
            lens_type: settings.lens_type.clone(),
            ..lens
        }));
    }
    // Documented, and without a place in a lens.
    let others =
        [("SE", "spherical equivalent of the lens"), ("ConfidenceIndex", "confidence of the lens")];
    for (code, name) in others {
        if let Some(value) = part(el, code, "") {
            let test = OtherTest { code: code.into(), name: name.into(), values: vec![value] };
            side.push(Measured::OtherTest(test));
        }
    }
    Ok(())
}

fn pupillary_distance(block: El) -> Result<PupillaryDistance, DecodeError> {
    let distance = |name: &str| number(block, name, MILLIMETRES);
    Ok(PupillaryDistance {
        far_mm: distance("Distance")?,
        right_mm: distance("DistanceR")?,
        left_mm: distance("DistanceL")?,
        near_mm: distance("Near")?,
        near_right_mm: distance("NearR")?,
        near_left_mm: distance("NearL")?,
        working_distance_cm: None,
    })
}

/// NIDEK's additions: the corridor of a progressive lens, and what the pair does together. Kept as
/// text, for nothing else holds them.
fn additions(block: El, into: &mut Vec<Measurement>) -> Result<(), DecodeError> {
    const DETAILS: [(&str, &str); 5] = [
        ("Length", "length"),
        ("ChannelWidth", "channel width"),
        ("ChannelLength", "channel length"),
        ("Index", "index"),
        ("GreenTransmittance", "green transmittance"),
    ];
    for (eye, token) in SIDES {
        for el in block.enter_all(token) {
            el.count_shot()?;
            let values: Vec<OtherValue> =
                DETAILS.iter().filter_map(|(key, name)| part(el, *key, name)).collect();
            if !values.is_empty() {
                let (code, name) = ("NIDEK".into(), "details of the lens".into());
                let test = OtherTest { code, name, values };
                into.push(Measurement::of(eye, token, Measured::OtherTest(test)));
            }
        }
    }
    let mut push = |code: &str, name: &str, values: Vec<OtherValue>| {
        if !values.is_empty() {
            let test = OtherTest { code: code.into(), name: name.into(), values };
            into.push(Measurement::without_token(Eye::Both, Measured::OtherTest(test)));
        }
    };
    for el in block.enter_all("NetPrism") {
        let horizontal = net_prism(el, "NetHPrism", "horizontal", &HORIZONTAL)?;
        let vertical = net_prism(el, "NetVPrism", "vertical", &VERTICAL)?;
        push("NetPrism", "net prism of the pair", horizontal.into_iter().chain(vertical).collect());
    }
    for el in block.enter_all("Inside") {
        let values = [part(el, "InsideR", "right"), part(el, "InsideL", "left")];
        push("Inside", "inside", values.into_iter().flatten().collect());
    }
    Ok(())
}

/// Its base stands in the part's name: `horizontal, base in`.
fn net_prism(
    el: El,
    key: &str,
    name: &str,
    bases: &Bases,
) -> Result<Option<OtherValue>, DecodeError> {
    let as_sent = el.peek(key).map(|leaf| leaf.text().to_owned());
    let Component::Is(component) = prism::component(el, key, bases)? else { return Ok(None) };
    let base = match component.base {
        Base::In => "base in",
        Base::Out => "base out",
        Base::Up => "base up",
        Base::Down => "base down",
        Base::Unverified => "direction not sent",
    };
    Ok(as_sent.map(|as_sent| OtherValue {
        name: format!("{name}, {base}"),
        as_sent,
        unit: Some("prism dioptres".into()),
    }))
}
