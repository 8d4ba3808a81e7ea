//! Writes a print as the instruments lay it out: namespaces, steps, empty fields, tabs.

mod pressure;

use super::{Model, Print};
use chiasm_proto::{
    Eye, Hundredths, Keratometry, KeratometryValue, Lensometry, Measured, Meridian,
    PupillaryDistance, Refraction, RefractionValue, Shot,
};
use std::fmt::Write;

const URI: &str = "http://www.joia.or.jp/standardized/namespaces";

/// Elements under construction.
struct Xml {
    text: String,
    depth: usize,
    /// Prefix of the elements, with its colon; empty for Topcon's own.
    prefix: &'static str,
    decimal_comma: bool,
}

impl Xml {
    fn line(&mut self, line: &str) {
        self.text.extend(std::iter::repeat_n('\t', self.depth));
        self.text.push_str(line);
        self.text.push('\n');
    }
    fn element(&mut self, name: &str, attributes: &str, content: impl FnOnce(&mut Self)) {
        let prefix = self.prefix;
        self.line(&format!("<{prefix}{name}{attributes}>"));
        self.depth += 1;
        content(self);
        self.depth -= 1;
        self.prefix = prefix;
        self.line(&format!("</{prefix}{name}>"));
    }
    /// A leaf; without text it stands there empty.
    fn leaf(&mut self, name: &str, attributes: &str, text: &str) {
        let prefix = self.prefix;
        self.line(&format!("<{prefix}{name}{attributes}>{text}</{prefix}{name}>"));
    }
    fn number(&mut self, name: &str, unit: &str, text: Option<String>) {
        let text = text.unwrap_or_default();
        let text = if self.decimal_comma { text.replace('.', ",") } else { text };
        self.leaf(name, &format!(" unit=\"{unit}\""), &text);
    }
    fn list(&mut self, no: Option<u32>, content: impl FnOnce(&mut Self)) {
        let no = no.map_or(String::new(), |no| format!(" No=\"{no}\""));
        self.element("List", &no, content);
    }
}

pub fn document(print: &Print) -> String {
    let encoding = if print.model.is_shift_jis() { "Shift-JIS" } else { "UTF-8" };
    let standalone = if print.model == Model::Cl300 { "standalone=\"no\" " } else { "" };
    let mut xml =
        Xml { text: String::new(), depth: 0, prefix: "", decimal_comma: print.decimal_comma };
    xml.line(&format!("<?xml version=\"1.0\" encoding=\"{encoding}\" {standalone}?>"));
    let has = |wanted: &[&str]| {
        print.measurements.iter().any(|m| wanted.contains(&m.measured.type_name()))
    };
    let kinds = [
        ("Common", true),
        ("REF", has(&["refraction"])),
        ("KM", has(&["keratometry"])),
        ("LM", has(&["lensometry"])),
        ("TM", has(&["tonometry", "pachymetry"])),
    ];
    let mut root = " xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"".to_owned();
    for (kind, _) in kinds.iter().filter(|(_, is_used)| *is_used) {
        write!(root, " xmlns:ns{kind}=\"{URI}/{kind}\"").expect("writing to a String succeeds");
    }
    xml.element("Ophthalmology", &root, |xml| {
        common(xml, print);
        for (kind, _) in kinds.iter().filter(|(_, is_used)| *is_used) {
            match *kind {
                "REF" => refraction_measure(xml, print),
                "KM" => keratometry_measure(xml, print),
                "LM" => lens_measure(xml, print),
                "TM" => pressure::measure(xml, print),
                _ => {}
            }
        }
    });
    xml.text
}

fn common(xml: &mut Xml, print: &Print) {
    let number = print.running_number();
    xml.prefix = "nsCommon:";
    xml.element("Common", "", |xml| {
        xml.leaf("Company", "", "TOPCON");
        xml.leaf("ModelName", "", print.model.name());
        xml.leaf("MachineNo", "", "01");
        xml.leaf("ROMVersion", "", "9.00.01");
        xml.leaf("Version", "", "1.2");
        xml.leaf("Date", "", &print.at.strftime("%Y-%m-%d").to_string());
        xml.leaf("Time", "", &print.at.strftime("%H:%M:%S").to_string());
        xml.element("Patient", "", |xml| {
            xml.leaf("No.", "", &number);
            xml.leaf("ID", "", print.patient_id.as_deref().unwrap_or(&number));
            for name in ["FirstName", "MiddleName", "LastName", "Sex", "Age", "DOB"] {
                xml.leaf(name, "", "");
            }
            xml.leaf("NameJ1", "", &print.name);
            xml.leaf("NameJ2", "", "");
        });
        xml.element("Operator", "", |xml| {
            xml.leaf("No.", "", "");
            xml.leaf("ID", "", "");
        });
    });
}

/// The measurements of one kind, by eye.
fn sides<'p, T>(
    print: &'p Print,
    pick: impl Fn(&'p Measured) -> Option<&'p T>,
) -> Vec<(&'static str, &'p T)> {
    let of_eye = |measurement: &'p chiasm_proto::Measurement| {
        let token = if measurement.eye == Eye::Left { "L" } else { "R" };
        pick(&measurement.measured).map(|picked| (token, picked))
    };
    print.measurements.iter().filter_map(of_eye).collect()
}

fn two(value: Hundredths) -> Option<String> {
    Some(value.to_string())
}

fn one(value: Hundredths) -> Option<String> {
    Some(format!("{:.1}", value.to_f64()))
}

/// A zero cylinder has one decimal and axis 0.
fn cylinder(value: Hundredths) -> Option<String> {
    if value.is_zero() { Some("0.0".into()) } else { two(value) }
}

fn axis(axis_deg: Option<i16>) -> Option<String> {
    Some(axis_deg.unwrap_or(0).to_string())
}

fn error_or<V>(xml: &mut Xml, shot: &Shot<V>, value: impl FnOnce(&mut Xml, &V)) {
    match (&shot.error, &shot.value) {
        (Some(error), _) => xml.leaf("Error", "", error),
        (None, Some(good)) => value(xml, good),
        (None, None) => {}
    }
}

fn pd(print: &Print) -> Option<&PupillaryDistance> {
    print.measurements.iter().find_map(|measurement| match &measurement.measured {
        Measured::PupillaryDistance(distance) => Some(distance),
        _ => None,
    })
}

fn refraction_measure(xml: &mut Xml, print: &Print) {
    let sides: Vec<(&str, &Refraction)> = sides(print, |measured| match measured {
        Measured::Refraction(refraction) => Some(refraction),
        _ => None,
    });
    let value = |xml: &mut Xml, value: &RefractionValue| {
        xml.number("Sphere", "D", two(value.sphere));
        xml.number("Cylinder", "D", cylinder(value.cylinder));
        xml.number("Axis", "deg", axis(value.axis_deg));
        xml.number("SE", "D", value.spherical_equivalent.and_then(two));
    };
    xml.prefix = "nsREF:";
    xml.element("Measure", " type=\"REF\"", |xml| {
        xml.number(
            "VD",
            "mm",
            sides.first().and_then(|(_, it)| it.vertex_distance_mm.and_then(two)),
        );
        xml.number("DiopterStep", "D", Some("0.25".into()));
        xml.number("AxisStep", "deg", Some("1".into()));
        xml.leaf("CylinderMode", "", "-");
        xml.element("REF", "", |xml| {
            for (token, refraction) in &sides {
                xml.element(token, "", |xml| {
                    for shot in &refraction.shots {
                        xml.list(shot.no, |xml| {
                            error_or(xml, shot, |xml, good| {
                                value(xml, good);
                                xml.leaf("CataractMode", "", "");
                                xml.leaf("IOLMode", "", "");
                                let confidence = shot.confidence.as_ref();
                                let sent = confidence.map_or("", |it| it.as_sent.as_str());
                                xml.leaf("ConfidenceIndex", "", sent);
                            });
                        });
                    }
                    if let Some(median) = &refraction.representative {
                        xml.element("Median", "", |xml| value(xml, &median.value));
                    }
                });
            }
        });
        let far = pd(print).and_then(|distance| distance.far_mm).and_then(two);
        xml.element("PD", "", |xml| {
            xml.number("WorkingDistance", "cm", None);
            xml.number("Distance", "mm", far.clone());
            xml.number("Near", "mm", far); // repeated, because no near distance is measured
        });
    });
}

fn keratometry_measure(xml: &mut Xml, print: &Print) {
    let sides: Vec<(&str, &Keratometry)> = sides(print, |measured| match measured {
        Measured::Keratometry(keratometry) => Some(keratometry),
        _ => None,
    });
    let meridian = |xml: &mut Xml, name: &str, it: &Meridian| {
        xml.element(name, "", |xml| {
            xml.number("Radius", "mm", it.radius_mm.and_then(two));
            xml.number("Power", "D", it.power.and_then(two));
            xml.number("Axis", "deg", axis(it.axis_deg));
        });
    };
    let value = |xml: &mut Xml, value: &KeratometryValue| {
        meridian(xml, "R1", &value.r1);
        meridian(xml, "R2", &value.r2);
        xml.element("Average", "", |xml| {
            xml.number("Radius", "mm", value.average_mm.and_then(two));
            xml.number("Power", "D", value.average_power.and_then(two));
        });
        xml.element("Cylinder", "", |xml| {
            xml.number("Power", "D", value.cylinder.and_then(two));
            xml.number("Axis", "deg", axis(value.cylinder_axis_deg));
        });
    };
    xml.prefix = "nsKM:";
    xml.element("Measure", " type=\"KM\"", |xml| {
        xml.number("DiopterStep", "D", Some("0.25".into()));
        xml.number("AxisStep", "deg", Some("1".into()));
        xml.leaf("CylinderMode", "", "-");
        xml.leaf("RefractiveIndex", "", "1.3375");
        xml.element("KM", "", |xml| {
            for (token, keratometry) in &sides {
                xml.element(token, "", |xml| {
                    for shot in &keratometry.shots {
                        xml.list(shot.no, |xml| error_or(xml, shot, value));
                    }
                    if let Some(median) = &keratometry.representative {
                        xml.element("Median", "", |xml| value(xml, &median.value));
                    }
                });
            }
        });
        if print.model != Model::Kr1 {
            empty_confidences(xml, &sides);
        }
    });
}

fn empty_confidences(xml: &mut Xml, sides: &[(&str, &Keratometry)]) {
    xml.prefix = "";
    xml.element("Confidence", "", |xml| {
        for (token, keratometry) in sides {
            xml.element(token, "", |xml| {
                for shot in &keratometry.shots {
                    xml.list(shot.no, |xml| xml.leaf("ConfidenceIndex", "", ""));
                }
                xml.element("Median", "", |xml| xml.leaf("ConfidenceIndex", "", ""));
            });
        }
    });
    xml.prefix = "nsKM:";
}

fn lens_measure(xml: &mut Xml, print: &Print) {
    let sides: Vec<(&str, &Lensometry)> = sides(print, |measured| match measured {
        Measured::Lensometry(lens) => Some(lens),
        _ => None,
    });
    // Padded and signed, as a CL-300 writes.
    let padded = |value: Option<Hundredths>| value.map(|it| format!("{:>6}", plus(it)));
    xml.prefix = "nsLM:";
    xml.element("Measure", " type=\"LM\"", |xml| {
        xml.number("DiopterStep", "D", Some("0.25".into()));
        xml.number("AxisStep", "deg", Some("1".into()));
        xml.number("PrismStep", "D", Some("0.25".into()));
        xml.leaf("CylinderMode", "", "mix");
        xml.leaf("LensType", "", "glass");
        xml.leaf("AbbeNumber", "", "");
        xml.leaf("Wavelength", "", "e");
        xml.element("LM", "", |xml| {
            for (token, lens) in &sides {
                xml.element(token, "", |xml| {
                    xml.number("Sphere", "D", padded(lens.sphere));
                    xml.number("Cylinder", "D", padded(lens.cylinder));
                    xml.number("Axis", "deg", axis(lens.axis_deg).map(|it| format!("{it:>3}")));
                    xml.number("Add1", "D", padded(lens.add));
                    xml.number("Add2", "D", padded(lens.add2));
                    let prism = lens.prism.clone().unwrap_or_default();
                    for (name, it) in [("H", prism.horizontal), ("V", prism.vertical)] {
                        let amount = it.map_or(String::new(), |it| plus(it.amount));
                        xml.leaf(name, " Prism=\"P\"", &amount);
                    }
                });
            }
        });
        if let Some(distance) = pd(print) {
            xml.element("PD", "", |xml| {
                let halves =
                    [("B", distance.far_mm), ("R", distance.right_mm), ("L", distance.left_mm)];
                for (token, it) in halves {
                    xml.element(token, "", |xml| xml.number("Distance", "mm", it.and_then(one)));
                }
            });
        }
    });
}

/// Zero has a minus sign in these files.
fn plus(value: Hundredths) -> String {
    if value.is_zero() { "-0.00".into() } else { format!("{value:+}") }
}
