//! An order of glasses: which values of a signed prescription are made, for what, and where the
//! lenses are centred. Nobody types a power here: powers come from what the doctor signed.

use super::{
    optics::Power,
    prescription::{EyeRx, Prescription, base_word},
    sheet::FieldFault,
};
use chiasm_proto::{Dioptres, Eye, Hundredths, PrismComponent};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// Longest note of an order, in characters.
pub const NOTE_LEN_MAX: usize = 500;
/// From where to where the distance of one pupil is taken for one, in millimetres.
const MONO_MM: (Hundredths, Hundredths) = (Hundredths::whole(18), Hundredths::whole(45));
/// The same between both pupils.
const BINOCULAR_MM: (Hundredths, Hundredths) = (Hundredths::whole(36), Hundredths::whole(90));
/// The two sides may differ from the whole by so much (R29), in millimetres.
pub const SUM_WITHIN_MM: Hundredths = Hundredths(50);

/// What the lenses are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LensUse {
    Distance,
    /// Progressive or bifocal: distance with the addition.
    Multifocal,
    /// Near only: the addition is put on the sphere.
    Reading,
}

impl LensUse {
    pub const ALL: [Self; 3] = [Self::Distance, Self::Multifocal, Self::Reading];
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Distance => "distance",
            Self::Multifocal => "multifocal",
            Self::Reading => "reading",
        }
    }
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.as_str() == text)
    }
    pub fn label(self) -> &'static str {
        match self {
            Self::Distance => "distance",
            Self::Multifocal => "distance and near (progressive or bifocal)",
            Self::Reading => "reading only",
        }
    }
}

/// The lens of one eye as it is to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLens {
    pub sphere: Dioptres,
    #[serde(default)]
    pub cylinder: Dioptres,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub axis_deg: Option<i16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub add: Option<Dioptres>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prism_horizontal: Option<PrismComponent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prism_vertical: Option<PrismComponent>,
}

impl OrderLens {
    pub fn power(&self) -> Power {
        Power::new(self.sphere, self.cylinder, self.axis_deg)
    }
}

/// `-2.25 -0.75 × 178 add +2.00, prism 2.50 in`.
impl fmt::Display for OrderLens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:+}", self.sphere)?;
        if !self.cylinder.is_zero() {
            write!(f, " {:+}", self.cylinder)?;
        }
        if let Some(axis) = self.axis_deg {
            write!(f, " \u{d7} {axis:03}")?;
        }
        if let Some(add) = self.add {
            write!(f, " add {add:+}")?;
        }
        for prism in [self.prism_horizontal, self.prism_vertical].into_iter().flatten() {
            write!(f, ", prism {} {}", prism.amount, base_word(prism.base))?;
        }
        Ok(())
    }
}

/// Where the lenses are centred, in millimetres: both together, or each side from the nose.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Pd {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub both_mm: Option<Hundredths>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub right_mm: Option<Hundredths>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub left_mm: Option<Hundredths>,
    /// The reading that proposed it, where the optician took it over (R29).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proposed_by: Option<String>,
}

/// `right 31.50, left 31.00 mm`.
impl fmt::Display for Pd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sides = [("right", self.right_mm), ("left", self.left_mm), ("both", self.both_mm)];
        let words = sides.into_iter().filter_map(|(name, mm)| Some(format!("{name} {}", mm?)));
        write!(f, "{} mm", words.collect::<Vec<_>>().join(", "))
    }
}

/// The content of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub lens_use: LensUse,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right: Option<OrderLens>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left: Option<OrderLens>,
    pub pd: Pd,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vertex_distance_mm: Option<Hundredths>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The signed record that the values are of.
    pub signed_sha256: String,
}

impl Order {
    pub fn eye(&self, eye: Eye) -> Option<&OrderLens> {
        match eye {
            Eye::Right => self.right.as_ref(),
            Eye::Left => self.left.as_ref(),
            Eye::Both | Eye::NotGiven => None,
        }
    }
}

/// What an optician chooses and types; PD in millimetres as typed.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    pub lens_use: String,
    /// `both`, `right` or `left`.
    pub eyes: String,
    pub pd_both: String,
    pub pd_right: String,
    pub pd_left: String,
    /// The measured distances are right: take them where nothing is typed.
    pub takes_proposed: bool,
    pub note: String,
}

/// Puts an order together, or says at each field what is missing.
pub fn order(
    (rx, signed_sha256): (&Prescription, &str),
    proposed: Option<&Pd>,
    choice: &Choice,
) -> Result<Order, Vec<FieldFault>> {
    let mut faults = BTreeMap::new();
    let mut fault = |field: &str, message: &str| {
        faults.entry(field.to_owned()).or_insert_with(|| message.to_owned());
    };
    let lens_use = LensUse::parse(&choice.lens_use);
    if lens_use.is_none() {
        fault("lens_use", "choose what the glasses are for");
    }
    let (does_right, does_left) = match choice.eyes.as_str() {
        "both" => (true, true),
        "right" => (true, false),
        "left" => (false, true),
        _ => {
            fault("eyes", "choose which lenses are made");
            (false, false)
        }
    };
    let mut lens = |rx: &EyeRx, name: &str, does: bool| {
        let lens_use = lens_use.filter(|_| does)?;
        match made_of(rx, lens_use) {
            Ok(lens) => Some(lens),
            Err(what) => {
                fault("lens_use", &format!("{name}: {what}"));
                None
            }
        }
    };
    let right = lens(&rx.right, "OD", does_right);
    let left = lens(&rx.left, "OS", does_left);
    let pd = match pd(choice, proposed, (does_right, does_left)) {
        Ok(pd) => pd,
        Err((field, message)) => {
            fault(field, &message);
            Pd::default()
        }
    };
    let note = choice.note.trim();
    if note.chars().count() > NOTE_LEN_MAX {
        fault("note", &format!("at most {NOTE_LEN_MAX} characters"));
    }
    match lens_use.filter(|_| faults.is_empty()) {
        Some(lens_use) => Ok(Order {
            lens_use,
            right,
            left,
            pd,
            vertex_distance_mm: rx.vertex_distance_mm,
            note: note.to_owned(),
            signed_sha256: signed_sha256.to_owned(),
        }),
        None => {
            let fault = |(field, message)| FieldFault { field, message };
            Err(faults.into_iter().map(fault).collect())
        }
    }
}

/// The lens of an eye for a use.
fn made_of(rx: &EyeRx, lens_use: LensUse) -> Result<OrderLens, &'static str> {
    let sphere = rx.sphere.ok_or("no lens is prescribed")?;
    let add = match lens_use {
        LensUse::Distance => None,
        LensUse::Multifocal | LensUse::Reading => Some(
            rx.add.ok_or("no addition is prescribed, so only glasses for distance can be made")?,
        ),
    };
    let near = add.filter(|_| lens_use == LensUse::Reading).unwrap_or_default();
    Ok(OrderLens {
        sphere: Hundredths(sphere.0 + near.0),
        cylinder: rx.cylinder.unwrap_or_default(),
        axis_deg: rx.axis_deg,
        add: add.filter(|_| lens_use == LensUse::Multifocal),
        prism_horizontal: rx.prism_horizontal,
        prism_vertical: rx.prism_vertical,
    })
}

/// Missing distances are what laboratories call back for most, so there is no order without.
fn pd(
    choice: &Choice,
    proposed: Option<&Pd>,
    (does_right, does_left): (bool, bool),
) -> Result<Pd, (&'static str, String)> {
    let both_mm = millimetres(&choice.pd_both, BINOCULAR_MM).map_err(|it| ("pd_both", it))?;
    let right_mm = millimetres(&choice.pd_right, MONO_MM).map_err(|it| ("pd_right", it))?;
    let left_mm = millimetres(&choice.pd_left, MONO_MM).map_err(|it| ("pd_left", it))?;
    let typed = Pd { both_mm, right_mm, left_mm, proposed_by: None };
    let pd = match proposed.filter(|_| choice.takes_proposed && typed == Pd::default()) {
        Some(proposed) => proposed.clone(),
        None => typed,
    };
    let sides = (!does_right || pd.right_mm.is_some()) && (!does_left || pd.left_mm.is_some());
    if pd.both_mm.is_none() && !sides {
        let message = "the pupillary distance is missing: type it, or take the measured one over";
        return Err(("pd_both", message.into()));
    }
    if let (Some(both), Some(right), Some(left)) = (pd.both_mm, pd.right_mm, pd.left_mm) {
        let sum = Hundredths(right.0 + left.0);
        if (sum.0 - both.0).abs() > SUM_WITHIN_MM.0 {
            let message = format!("right and left together are {sum}, not {both}: measure again");
            return Err(("pd_both", message));
        }
    }
    Ok(pd)
}

fn millimetres(
    text: &str,
    (least, most): (Hundredths, Hundredths),
) -> Result<Option<Hundredths>, String> {
    let text = text.trim().replace(',', ".");
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<Hundredths>() {
        Ok(mm) if (least..=most).contains(&mm) => Ok(Some(mm)),
        _ => Err(format!("from {least} to {most} mm, or leave it empty")),
    }
}

/// The form in which numbers of orders are kept and compared.
pub fn number(text: &str) -> String {
    text.trim().to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chiasm_proto::Base;

    fn rx() -> Prescription {
        let mut rx = Prescription::default();
        rx.right.sphere = Some(Hundredths(-400));
        rx.right.cylinder = Some(Hundredths(-75));
        rx.right.axis_deg = Some(178);
        rx.right.add = Some(Hundredths(200));
        rx.right.prism_horizontal =
            Some(PrismComponent { amount: Hundredths(100), base: Base::In });
        rx.left.sphere = Some(Hundredths(-350));
        rx
    }
    fn choice(lens_use: &str, eyes: &str) -> Choice {
        let (lens_use, eyes, pd_both) = (lens_use.into(), eyes.into(), "62,5".into());
        Choice { lens_use, eyes, pd_both, ..Choice::default() }
    }
    fn fields(rx: &Prescription, proposed: Option<&Pd>, choice: &Choice) -> Vec<String> {
        let faults = order((rx, ""), proposed, choice).unwrap_err();
        faults.into_iter().map(|it| format!("{}: {}", it.field, it.message)).collect()
    }

    #[test]
    fn the_use_decides_which_values_are_made() {
        let made = |lens_use| {
            let order = order((&rx(), "s"), None, &choice(lens_use, "right")).unwrap();
            assert_eq!(order.left, None);
            order.right.unwrap().to_string()
        };
        assert_eq!(made("distance"), "-4.00 -0.75 \u{d7} 178, prism 1.00 in");
        assert_eq!(made("multifocal"), "-4.00 -0.75 \u{d7} 178 add +2.00, prism 1.00 in");
        assert_eq!(made("reading"), "-2.00 -0.75 \u{d7} 178, prism 1.00 in");
        let faults = fields(&rx(), None, &choice("reading", "both"));
        assert!(faults[0].starts_with("lens_use: OS: no addition"), "{faults:?}");
    }

    #[test]
    fn r29_no_order_without_a_pupillary_distance_that_somebody_stands_for() {
        let mut it = choice("distance", "both");
        it.pd_both = String::new();
        let measured = Pd {
            right_mm: Some(Hundredths(3150)),
            left_mm: Some(Hundredths(3100)),
            both_mm: Some(Hundredths(6250)),
            proposed_by: Some("r".into()),
        };
        assert!(
            fields(&rx(), Some(&measured), &it)[0].contains("missing"),
            "proposed is not taken"
        );
        it.takes_proposed = true;
        let order = order((&rx(), ""), Some(&measured), &it).unwrap();
        assert_eq!(order.pd, measured);
        it.pd_right = "31.5".into();
        assert!(fields(&rx(), Some(&measured), &it)[0].contains("missing"), "one side of two");
        (it.pd_left, it.pd_both) = ("30".into(), "62.5".into());
        assert!(fields(&rx(), None, &it)[0].contains("together are 61.50"));
        it.pd_both = "625".into();
        assert!(fields(&rx(), None, &it)[0].starts_with("pd_both: from 36.00"));
    }
}
