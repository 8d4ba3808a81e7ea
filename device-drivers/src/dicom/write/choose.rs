//! Which values of a reading go into an object of a kind.

use super::Kind;
use chiasm_proto::{
    Base, Eye, Hundredths, KeratometryValue, Lensometry, Light, Measured, Measurement, Meridian,
    Prism, Refraction, RefractionKind, RefractionValue, Representative, Shot, Vision,
};

/// What goes into one object.
#[derive(Debug, Default)]
pub struct Contents {
    pub powers: Vec<(Eye, Powers)>,
    pub meridians: Vec<(Eye, Meridians)>,
    pub far_pd_mm: Option<Hundredths>,
    pub near_pd_mm: Option<Hundredths>,
    pub lens_description: Option<String>,
}

impl Contents {
    pub fn eyes(&self) -> Vec<Eye> {
        let powers = self.powers.iter().map(|(eye, _)| *eye);
        powers.chain(self.meridians.iter().map(|(eye, _)| *eye)).collect()
    }
}

/// Sphere, cylinder and what stands beside them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Powers {
    pub sphere: Hundredths,
    pub cylinder: Option<(Hundredths, i16)>,
    pub vertex_distance_mm: Option<Hundredths>,
    pub pupil_mm: Option<Hundredths>,
    pub cornea_mm: Option<Hundredths>,
    pub add_near: Option<Hundredths>,
    /// Horizontal and vertical.
    pub prism: Option<[(Hundredths, Base); 2]>,
}

/// Radius, power and axis of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meridians {
    pub steep: (Hundredths, Hundredths, i16),
    pub flat: (Hundredths, Hundredths, i16),
}

/// The contents of a kind, if the measurements hold it.
pub fn contents(kind: Kind, measurements: &[Measurement]) -> Result<Option<Contents>, String> {
    let own: Vec<&Measurement> = measurements.iter().filter(|it| !it.relayed).collect();
    let mut found = Contents::default();
    match kind {
        Kind::Autorefraction => {
            refractions(&own, RefractionKind::Autorefraction, &mut found)?;
            for (eye, powers) in &mut found.powers {
                beside(&own, *eye, powers)?;
            }
        }
        // What a refractor calls final was found with the patient's answers as well.
        Kind::SubjectiveRefraction => {
            refractions(&own, RefractionKind::Subjective, &mut found)?;
            if found.powers.is_empty() {
                refractions(&own, RefractionKind::Final, &mut found)?;
            }
        }
        Kind::Lensometry => lenses(&own, &mut found)?,
        Kind::Keratometry => corneas(&own, &mut found)?,
    }
    if found.eyes().is_empty() {
        return Ok(None);
    }
    if matches!(kind, Kind::Autorefraction | Kind::SubjectiveRefraction) {
        pupillary_distance(&own, &mut found)?;
    }
    Ok(Some(found))
}

/// The value that the instrument declares, or its only shot.
fn declared<'v, V>(
    representative: Option<&'v Representative<V>>,
    shots: &'v [Shot<V>],
) -> Result<Option<&'v V>, String> {
    if let Some(representative) = representative {
        return Ok(Some(&representative.value));
    }
    let mut values = shots.iter().filter_map(|shot| shot.value.as_ref());
    match (values.next(), values.next()) {
        (Some(_), Some(_)) => Err("several shots, and none that the instrument declares".into()),
        (only, _) => Ok(only),
    }
}

/// Keeps the value of an eye, unless there is another one already.
fn keep<V: PartialEq>(into: &mut Vec<(Eye, V)>, eye: Eye, value: V) -> Result<(), String> {
    match into.iter().find(|(of, _)| *of == eye) {
        Some((_, there)) if *there == value => Ok(()),
        Some(_) => Err(format!("several values of {}", eye.abbreviation())),
        None => {
            into.push((eye, value));
            Ok(())
        }
    }
}

fn refractions(
    own: &[&Measurement],
    kind: RefractionKind,
    into: &mut Contents,
) -> Result<(), String> {
    let of_kind = own.iter().filter_map(|it| match &it.measured {
        Measured::Refraction(refraction)
            if refraction.kind == kind
                && refraction.light == Light::Day
                && refraction.vision == Vision::Far =>
        {
            Some((it.eye, refraction))
        }
        _ => None,
    });
    for (eye, refraction) in of_kind {
        let Some(value) = declared(refraction.representative.as_ref(), &refraction.shots)? else {
            continue;
        };
        if !matches!(eye, Eye::Right | Eye::Left) {
            return Err("the side of a refraction was not given".into());
        }
        keep(&mut into.powers, eye, powers(value, refraction)?)?;
    }
    Ok(())
}

fn powers(value: &RefractionValue, refraction: &Refraction) -> Result<Powers, String> {
    let is_autorefraction = refraction.kind == RefractionKind::Autorefraction;
    let prism = prism(refraction.prism.as_ref())?;
    if is_autorefraction && prism.is_some() {
        return Err("an AR object has no place for a prism".into());
    }
    Ok(Powers {
        sphere: value.sphere,
        cylinder: cylinder(Some(value.cylinder), value.axis_deg)?,
        vertex_distance_mm: refraction.vertex_distance_mm,
        add_near: refraction.add.filter(|_| !is_autorefraction),
        prism,
        ..Powers::default()
    })
}

/// None where there is none; one without its axis means nothing.
fn cylinder(
    power: Option<Hundredths>,
    axis_deg: Option<i16>,
) -> Result<Option<(Hundredths, i16)>, String> {
    match (power, axis_deg) {
        (Some(power), Some(axis)) if (0..=180).contains(&axis) => Ok(Some((power, axis))),
        (Some(power), None) if power.is_zero() => Ok(None),
        (None, _) => Ok(None),
        _ => Err("a cylinder without an axis within 0 to 180 degrees".into()),
    }
}

/// Both components with a base. That there is none needs no sequence.
fn prism(prism: Option<&Prism>) -> Result<Option<[(Hundredths, Base); 2]>, String> {
    let Some(prism) = prism else { return Ok(None) };
    let components = [prism.horizontal, prism.vertical].into_iter().flatten();
    let amounts = components.map(|it| it.amount).chain(prism.amount);
    let is_none = amounts.into_iter().all(Hundredths::is_zero);
    match (prism.horizontal, prism.vertical) {
        (Some(horizontal), Some(vertical))
            if matches!(horizontal.base, Base::In | Base::Out)
                && matches!(vertical.base, Base::Up | Base::Down) =>
        {
            let components = [horizontal, vertical];
            Ok(Some(components.map(|component| (component.amount, component.base))))
        }
        _ if is_none => Ok(None),
        _ => Err("a prism that was not sent as in or out and up or down".into()),
    }
}

/// Sizes that stand in the same eye's item.
fn beside(own: &[&Measurement], eye: Eye, powers: &mut Powers) -> Result<(), String> {
    let mut pupils = vec![];
    let mut corneas = vec![];
    for measurement in own.iter().filter(|it| it.eye == eye) {
        match &measurement.measured {
            Measured::PupilSize(size) => pupils.push(size.diameter_mm),
            Measured::CornealSize(size) => corneas.push(size.diameter_mm),
            _ => {}
        }
    }
    // Several are of several lights; which one belongs to the refraction is not known.
    powers.pupil_mm = <[Hundredths; 1]>::try_from(pupils).ok().map(|[one]| one);
    powers.cornea_mm = <[Hundredths; 1]>::try_from(corneas).ok().map(|[one]| one);
    Ok(())
}

fn pupillary_distance(own: &[&Measurement], into: &mut Contents) -> Result<(), String> {
    let mut distances = own.iter().filter_map(|it| match &it.measured {
        Measured::PupillaryDistance(distance) => Some(distance),
        _ => None,
    });
    let (first, second) = (distances.next(), distances.next());
    if let (Some(distance), None) = (first, second) {
        (into.far_pd_mm, into.near_pd_mm) = (distance.far_mm, distance.near_mm);
    }
    Ok(())
}

fn lenses(own: &[&Measurement], into: &mut Contents) -> Result<(), String> {
    for measurement in own {
        let Measured::Lensometry(lens) = &measurement.measured else { continue };
        let Some(sphere) = lens.sphere else { continue };
        if measurement.eye == Eye::Both {
            return Err("a lens of both eyes".into());
        }
        into.lens_description = into.lens_description.take().or_else(|| lens.lens_type.clone());
        keep(&mut into.powers, measurement.eye, lens_powers(sphere, lens)?)?;
    }
    Ok(())
}

fn lens_powers(sphere: Hundredths, lens: &Lensometry) -> Result<Powers, String> {
    if lens.add2.is_some_and(|add| !add.is_zero()) {
        return Err("a LEN object has no place for the second addition of a trifocal".into());
    }
    Ok(Powers {
        sphere,
        cylinder: cylinder(lens.cylinder, lens.axis_deg)?,
        add_near: lens.add,
        prism: prism(lens.prism.as_ref())?,
        ..Powers::default()
    })
}

fn corneas(own: &[&Measurement], into: &mut Contents) -> Result<(), String> {
    for measurement in own {
        let Measured::Keratometry(cornea) = &measurement.measured else { continue };
        let Some(value) = declared(cornea.representative.as_ref(), &cornea.shots)? else {
            continue;
        };
        if !matches!(measurement.eye, Eye::Right | Eye::Left) {
            return Err("the side of a keratometry was not given".into());
        }
        keep(&mut into.meridians, measurement.eye, meridians(value)?)?;
    }
    Ok(())
}

fn meridians(value: &KeratometryValue) -> Result<Meridians, String> {
    let whole = |meridian: &Meridian| match (meridian.radius_mm, meridian.power, meridian.axis_deg)
    {
        (Some(radius), Some(power), Some(axis)) if (0..=180).contains(&axis) => {
            Ok((radius, power, axis))
        }
        _ => Err("a KER object needs radius, power and axis of both meridians".to_owned()),
    };
    let (one, other) = (whole(&value.r1)?, whole(&value.r2)?);
    Ok(if one.0 < other.0 {
        Meridians { steep: one, flat: other }
    } else {
        Meridians { steep: other, flat: one }
    })
}
