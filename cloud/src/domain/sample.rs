//! The values of a reading that are followed over visits, as the instrument declared them. Where it
//! declared none (R13), its shots stand for themselves: nothing is averaged.

use super::optics::{Index, Power, dioptres_of_radius};
use chiasm_proto::{
    Eye, Hundredths, KeratometryValue, Measured, Measurement, Meridian, Refraction, RefractionKind,
    Representative, Shot, TonometryMethod, Vision, refraction::Light,
};

/// What a value is. Values of different kinds never stand in one series (R11, R19).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Wearing,
    Autorefraction,
    Subjective,
    Final,
    Keratometry,
    Pressure(TonometryMethod),
    Thickness,
}

/// Why this value stands for the eye.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// The instrument declared it, under this name.
    Declared(String),
    /// It is the only one.
    Single,
    /// One of several, none of which the instrument declared.
    Shot { no: usize, of: usize },
}

impl Standing {
    /// For people.
    pub fn label(&self) -> String {
        match self {
            Standing::Declared(label) => label.clone(),
            Standing::Single => "single".into(),
            Standing::Shot { no, of } => format!("shot {no} of {of}"),
        }
    }
    pub fn is_shot(&self) -> bool {
        matches!(self, Standing::Shot { .. })
    }
}

/// One value of one eye.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    pub eye: Eye,
    pub kind: Kind,
    pub standing: Standing,
    pub value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Lens(Lens),
    Cornea(Cornea),
    Mmhg(Hundredths),
    Micrometres(u16),
}

/// A refraction with what belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lens {
    pub power: Power,
    pub add: Option<Hundredths>,
    pub vertex_distance_mm: Option<Hundredths>,
}

/// The two meridians in dioptres, flat being the smaller (R28).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cornea {
    /// Which ring, where an instrument measures with two.
    pub mire: Option<String>,
    pub flat: Hundredths,
    pub steep: Hundredths,
    /// The index by which at least one of them was converted from its radius (R27).
    pub converted_with: Option<Index>,
}

/// The followed values of one reading, in the order sent. What an instrument passes on from another
/// is no measurement of its own.
pub fn samples(measurements: &[Measurement]) -> Vec<Sample> {
    let own = measurements.iter().filter(|measurement| !measurement.relayed);
    own.flat_map(|it| of_measured(&it.measured, it.eye)).collect()
}

fn of_measured(measured: &Measured, eye: Eye) -> Vec<Sample> {
    match measured {
        Measured::Refraction(it) => of_refraction(it, eye),
        Measured::Lensometry(it) => {
            let Some(sphere) = it.sphere else { return vec![] };
            let power = Power::new(sphere, it.cylinder.unwrap_or_default(), it.axis_deg);
            let lens = Lens { power, add: it.add, vertex_distance_mm: None };
            let (kind, standing) = (Kind::Wearing, Standing::Single);
            vec![Sample { eye, kind, standing, value: Value::Lens(lens) }]
        }
        Measured::Keratometry(it) => {
            let index = it.refractive_index.as_deref().map_or(Some(Index::USUAL), Index::from_sent);
            let values = declared(it.representative.as_ref(), &it.shots);
            let corneas = values.into_iter().filter_map(|(standing, value)| {
                let value = Value::Cornea(cornea(&value, index, it.mire.clone())?);
                Some(Sample { eye, kind: Kind::Keratometry, standing, value })
            });
            corneas.collect()
        }
        Measured::Tonometry(it) => {
            let kind = Kind::Pressure(it.method);
            let values = declared(it.representative.as_ref(), &it.shots).into_iter();
            let sample = |(standing, value): (_, chiasm_proto::tonometry::IopValue)| Sample {
                eye,
                kind,
                standing,
                value: Value::Mmhg(value.iop_mmhg),
            };
            values.map(sample).collect()
        }
        Measured::Pachymetry(it) => {
            let values = declared(it.representative_um.as_ref(), &it.shots_um).into_iter();
            let sample = |(standing, um)| {
                let value = Value::Micrometres(um);
                Sample { eye, kind: Kind::Thickness, standing, value }
            };
            values.map(sample).collect()
        }
        _ => vec![],
    }
}

fn of_refraction(it: &Refraction, eye: Eye) -> Vec<Sample> {
    let kind = match it.kind {
        RefractionKind::Autorefraction => Kind::Autorefraction,
        RefractionKind::Subjective => Kind::Subjective,
        RefractionKind::Final => Kind::Final,
        _ => return vec![],
    };
    if it.light == Light::Night || it.vision == Vision::Near {
        return vec![];
    }
    let values = declared(it.representative.as_ref(), &it.shots).into_iter();
    let sample = |(standing, value): (_, chiasm_proto::RefractionValue)| {
        let vertex_distance_mm = it.vertex_distance_mm;
        let lens = Lens { power: value.into(), add: it.add, vertex_distance_mm };
        Sample { eye, kind, standing, value: Value::Lens(lens) }
    };
    values.map(sample).collect()
}

/// The declared value, or the shots with a value.
fn declared<V: Clone>(
    representative: Option<&Representative<V>>,
    shots: &[Shot<V>],
) -> Vec<(Standing, V)> {
    if let Some(it) = representative {
        return vec![(Standing::Declared(it.label.clone()), it.value.clone())];
    }
    let values: Vec<&V> = shots.iter().filter_map(|shot| shot.value.as_ref()).collect();
    match values[..] {
        [single] => vec![(Standing::Single, single.clone())],
        _ => {
            let of = values.len();
            let shot =
                |(index, value): (usize, &V)| (Standing::Shot { no: index + 1, of }, value.clone());
            values.into_iter().enumerate().map(shot).collect()
        }
    }
}

/// None where a meridian is missing, or is only a radius under an index that makes no sense.
fn cornea(value: &KeratometryValue, index: Option<Index>, mire: Option<String>) -> Option<Cornea> {
    let mut converted_with = None;
    let mut power = |meridian: &Meridian| match (meridian.power, meridian.radius_mm) {
        (Some(power), _) => Some(power),
        (None, Some(radius)) => {
            converted_with = index;
            dioptres_of_radius(radius, index?)
        }
        (None, None) => None,
    };
    let (one, other) = (power(&value.r1)?, power(&value.r2)?);
    Some(Cornea { mire, flat: one.min(other), steep: one.max(other), converted_with })
}

#[cfg(test)]
mod tests {
    use super::*;
    use chiasm_proto::{Keratometry, Tonometry, tonometry::IopValue};

    fn iop(mmhg: i32) -> IopValue {
        IopValue { iop_mmhg: Hundredths::whole(mmhg), iop_kpa: None }
    }
    fn of(measured: Measured) -> Vec<Sample> {
        samples(&[Measurement::without_token(Eye::Right, measured)])
    }
    fn meridian(radius_mm: Option<i32>, power: Option<i32>) -> Meridian {
        let (radius_mm, power) = (radius_mm.map(Hundredths), power.map(Hundredths));
        Meridian { radius_mm, power, axis_deg: None }
    }
    fn keratometry(r1: Meridian, r2: Meridian, index: Option<&str>) -> Measured {
        let value = KeratometryValue { r1, r2, ..KeratometryValue::default() };
        Measured::Keratometry(Keratometry {
            refractive_index: index.map(Into::into),
            shots: vec![Shot::of(value)],
            ..Keratometry::default()
        })
    }

    #[test]
    fn r13_no_mean_is_made_of_shots() {
        let mut sent = Tonometry::new(TonometryMethod::Rebound);
        sent.shots = vec![Shot::of(iop(12)), Shot::failed("ERR"), Shot::of(iop(18))];
        let found = of(Measured::Tonometry(sent.clone()));
        let values: Vec<_> =
            found.iter().map(|it| (it.standing.label(), it.value.clone())).collect();
        let mmhg = |mmhg| Value::Mmhg(Hundredths::whole(mmhg));
        let shots = [("shot 1 of 2".to_owned(), mmhg(12)), ("shot 2 of 2".to_owned(), mmhg(18))];
        assert_eq!(values, shots);
        sent.representative = Some(Representative { label: "average".into(), value: iop(16) });
        let found = of(Measured::Tonometry(sent));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].value, mmhg(16), "the instrument's own, whatever its shots say");
    }

    #[test]
    fn r22_extremes_are_kept() {
        for mmhg in [0, 2, 68, 99] {
            let mut sent = Tonometry::new(TonometryMethod::NonContact);
            sent.shots = vec![Shot::of(iop(mmhg))];
            let found = of(Measured::Tonometry(sent));
            assert_eq!(found[0].value, Value::Mmhg(Hundredths::whole(mmhg)));
        }
    }

    #[test]
    fn r27_only_what_is_missing_is_converted() {
        let cornea = |measured| match of(measured).first().map(|it| it.value.clone()) {
            Some(Value::Cornea(cornea)) => Some(cornea),
            _ => None,
        };
        let sent = meridian(Some(780), Some(4325));
        let (flat, steep) = (Hundredths(4325), Hundredths(4500));
        let both = cornea(keratometry(sent, meridian(Some(750), Some(4500)), None)).unwrap();
        assert_eq!(both, Cornea { mire: None, flat, steep, converted_with: None }, "not 43.27");
        let one = cornea(keratometry(sent, meridian(Some(750), None), Some("1.3375"))).unwrap();
        let converted_with = Some(Index::USUAL);
        assert_eq!(one, Cornea { mire: None, flat, steep, converted_with });
        let nonsense = keratometry(sent, meridian(Some(750), None), Some("about 1.3"));
        assert_eq!(cornea(nonsense), None, "an unknown index converts nothing");
        assert_eq!(cornea(keratometry(sent, meridian(None, None), None)), None);
    }

    #[test]
    fn r28_flat_is_the_smaller_whatever_the_maker_calls_it() {
        let steep_first = keratometry(meridian(None, Some(4500)), meridian(None, Some(4300)), None);
        let Value::Cornea(cornea) = of(steep_first)[0].value.clone() else { panic!("a cornea") };
        assert_eq!((cornea.flat, cornea.steep), (Hundredths(4300), Hundredths(4500)));
    }

    #[test]
    fn what_is_passed_on_or_is_another_thing_is_not_followed() {
        let mut sent = Tonometry::new(TonometryMethod::NonContact);
        sent.shots = vec![Shot::of(iop(15))];
        let measurement = Measurement::without_token(Eye::Left, Measured::Tonometry(sent));
        assert_eq!(samples(std::slice::from_ref(&measurement)).len(), 1);
        assert_eq!(samples(&[measurement.relayed()]), []);
        let night = Refraction {
            light: Light::Night,
            shots: vec![Shot::of(chiasm_proto::RefractionValue {
                sphere: Hundredths(-100),
                cylinder: Hundredths::ZERO,
                axis_deg: None,
                spherical_equivalent: None,
            })],
            ..Refraction::new(RefractionKind::Autorefraction)
        };
        assert_eq!(of(Measured::Refraction(night.clone())), []);
        assert_eq!(of(Measured::Refraction(Refraction { light: Light::Day, ..night })).len(), 1);
    }
}
