//! Tonometry with its corrections, and pachymetry.

use super::{Xml, error_or, one, sides};
use crate::makers::joia::sim::{Model, Print};
use chiasm_proto::{CorrectedIop, Hundredths, IopValue, Measured, Pachymetry, Shot, Tonometry};

type Sides<'p, T> = Vec<(&'static str, &'p T)>;

pub fn measure(xml: &mut Xml, print: &Print) {
    let pressures: Sides<Tonometry> = sides(print, |measured| match measured {
        Measured::Tonometry(tonometry) => Some(tonometry),
        _ => None,
    });
    let thicknesses: Sides<Pachymetry> = sides(print, |measured| match measured {
        Measured::Pachymetry(pachymetry) => Some(pachymetry),
        _ => None,
    });
    xml.prefix = "nsTM:";
    xml.element("Measure", " type=\"TM\"", |xml| {
        xml.element("TM", "", |xml| {
            for (token, tonometry) in &pressures {
                xml.element(token, "", |xml| shots(xml, tonometry));
            }
        });
        formula(xml, &pressures);
        if print.model == Model::Trk2P {
            xml.prefix = "";
            settings(xml, &pressures);
            thickness(xml, &thicknesses);
            by_shot(xml, &pressures);
            xml.prefix = "nsTM:";
        }
    });
}

fn pressure(xml: &mut Xml, value: Option<Hundredths>) {
    xml.number("IOP_mmHg", "mmHg", value.and_then(one));
    xml.number("IOP_Pa", "hPa", None);
}

fn shots(xml: &mut Xml, tonometry: &Tonometry) {
    for shot in &tonometry.shots {
        xml.list(shot.no, |xml| one_pressure(xml, shot));
    }
    if let Some(average) = &tonometry.representative {
        let value = Some(average.value.iop_mmhg);
        xml.element("Average", "", |xml| pressure(xml, value));
    }
}

fn one_pressure(xml: &mut Xml, shot: &Shot<IopValue>) {
    pressure(xml, shot.value.map(|value| value.iop_mmhg));
    let confidence = shot.confidence.as_ref();
    xml.leaf("ConfidenceIndex", "", confidence.map_or("", |it| it.as_sent.as_str()));
}

/// `Param1` and `Param2` as the user has set them; the thickness in millimetres.
fn formula(xml: &mut Xml, pressures: &Sides<Tonometry>) {
    let of_formula = |it: &&CorrectedIop| it.label == "Formula1";
    xml.element("CorrectedIOP", "", |xml| {
        xml.element("Formula1", " No=\"1\"", |xml| {
            for (token, tonometry) in pressures {
                let Some(it) = tonometry.corrected.iter().find(of_formula) else { continue };
                xml.element(token, "", |xml| {
                    xml.leaf("Param1", " unit=\"mm\"", "0.540");
                    xml.leaf("Param2", "", "0.045");
                    xml.number("CCT", "mm", it.cct_um.map(millimetres));
                    for (name, value) in
                        [("Measured", it.measured_mmhg), ("Corrected", it.corrected_mmhg)]
                    {
                        xml.element(name, "", |xml| pressure(xml, value));
                    }
                });
            }
        });
    });
}

fn millimetres(um: u16) -> String {
    format!("0.{um:03}")
}

fn modes(xml: &mut Xml) {
    xml.leaf("Alignment_Mode", "", "Auto");
    xml.leaf("IOL_Mode", "", "Off");
}

fn settings(xml: &mut Xml, pressures: &Sides<Tonometry>) {
    xml.element("TM", "", |xml| {
        xml.leaf("RL_Order", "", "R");
        for (token, tonometry) in pressures {
            xml.element(token, "", |xml| {
                for shot in &tonometry.shots {
                    xml.list(shot.no, |xml| {
                        modes(xml);
                        xml.leaf("Pressure_Range", "", "30");
                    });
                }
            });
        }
    });
}

fn thickness(xml: &mut Xml, thicknesses: &Sides<Pachymetry>) {
    xml.element("CCT", "", |xml| {
        xml.leaf("RL_Order", "", "R");
        for (token, pachymetry) in thicknesses {
            xml.element(token, "", |xml| {
                for shot in &pachymetry.shots_um {
                    xml.list(shot.no, |xml| {
                        modes(xml);
                        error_or(xml, shot, |xml, um| {
                            xml.number("CCT_mm", "mm", Some(millimetres(*um)));
                        });
                    });
                }
            });
        }
    });
}

/// Here the mmHg number stands under `IOP_Pa` as well.
fn by_shot(xml: &mut Xml, pressures: &Sides<Tonometry>) {
    xml.element("CorrectedIOP", "", |xml| {
        for (token, tonometry) in pressures {
            xml.element(token, "", |xml| {
                for it in tonometry.corrected.iter().filter(|it| it.label == "CorrectedIOP") {
                    xml.list(it.shot_no, |xml| match (&it.error, it.corrected_mmhg) {
                        (Some(error), _) => xml.leaf("Error", "", error),
                        (None, value) => {
                            let whole = value.map(|value| (value.0 / 100).to_string());
                            xml.number("IOP_mmHg", "mmHg", whole.clone());
                            xml.number("IOP_Pa", "hPa", whole);
                        }
                    });
                }
            });
        }
    });
}
